"""Vectors smoothed over the graph of who liked what (LightGCN, He et al. 2020) -> log-odds."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from tastemaker.collab._graph import Propagation
from tastemaker.collab.base import CollabConfig
from tastemaker.collab.pointwise._network import Network, NetworkModel, PointwiseConfig, Rows
from tastemaker.collab.pointwise.mf import Factors
from tastemaker.data.preference import PreferenceSplit
from tastemaker.types import Progress


class LightGCNConfig(PointwiseConfig):
    """How far vectors spread."""

    n_layers: int = Field(2, ge=1)
    """Steps along the graph; a vector is the mean of what it was after each."""


class LightGCN(NetworkModel):
    """Matrix factorisation whose vectors have walked the graph of the training rows that were liked."""

    Config: ClassVar[type[CollabConfig]] = LightGCNConfig
    config: LightGCNConfig

    def _network(self) -> Network:
        return Factors(len(self.user_counts), len(self.item_counts), self.config.embedding_size, 0.1)

    def _learner(self, split: PreferenceSplit, progress: Progress) -> Network:
        edges = [(row.query.user, row.item) for row in split.train if row.liked and row.query.user is not None]
        users, items = np.array(edges, dtype=np.int64).reshape(-1, 2).T
        shape = len(self.user_counts), len(self.item_counts)
        liked = sparse.coo_array((np.ones(len(users), np.float32), (users, items)), shape=shape).tocsr()
        liked.data[:] = 1  # what was liked twice was added up
        return _Smoothed(Propagation(liked, self.config.embedding_size, self.config.n_layers))

    @torch.no_grad()
    def _settled(self, learner: Network) -> Network:
        if not isinstance(learner, _Smoothed):
            raise TypeError(f"{type(learner).__name__} did not learn this")
        factors = Factors(len(self.user_counts), len(self.item_counts), self.config.embedding_size, 0.1)
        users, items = learner.tables()
        factors.users.weight.copy_(users)
        factors.items.weight.copy_(items)
        return factors


class _Smoothed(Network):
    def __init__(self, propagation: Propagation) -> None:
        super().__init__()
        self.propagation = propagation

    def forward(self, rows: Rows) -> Tensor:
        users, items = self.tables()
        return (functional.embedding(rows.users, users) * functional.embedding(rows.items, items)).sum(-1)

    def tables(self) -> tuple[Tensor, Tensor]:
        """Vectors of users and items, and a zero row after each."""
        users, items = self.propagation()
        return functional.pad(users, (0, 0, 0, 1)), functional.pad(items, (0, 0, 0, 1))
