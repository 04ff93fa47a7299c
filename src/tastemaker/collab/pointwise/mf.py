"""Who asks and what is asked about -> the dot product of their vectors, with or without biases."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tastemaker.collab.base import CollabConfig
from tastemaker.collab.pointwise._network import Network, NetworkModel, PointwiseConfig, Rows, table


class MFConfig(PointwiseConfig):
    """How long vectors are, where they start, and what they tell."""

    embedding_size: int = Field(256, ge=1)
    init_std: float = Field(0.1, gt=0)
    """CoLLM has 1, which decay must first shrink: over a hundred epochs pass at chance; raise ``patience`` with it."""
    biases: bool = False
    """Whether users and items have a rate of their own too: the last column of their vectors."""


class MF(NetworkModel):
    """Matrix factorisation of explicit answers; nothing is known of new users or items."""

    Config: ClassVar[type[CollabConfig]] = MFConfig
    config: MFConfig

    def _network(self) -> Network:
        config, n_users, n_items = self.config, len(self.user_counts), len(self.item_counts)
        factors = Biased if config.biases else Factors
        return factors(n_users, n_items, config.embedding_size, config.init_std)


class Factors(Network):
    """A vector for every user and item."""

    def __init__(self, n_users: int, n_items: int, size: int, std: float) -> None:
        super().__init__()
        self.users, self.items = table(n_users, size, std), table(n_items, size, std)

    def user(self, rows: Rows) -> Tensor:
        """``[row, d]``."""
        vectors: Tensor = self.users(rows.users)
        return vectors

    def item_table(self) -> Tensor:
        """``[item, d]``."""
        return self.items.weight


class Biased(Factors):
    """The last column of each vector is added to the dot product of the others."""

    def __init__(self, n_users: int, n_items: int, size: int, std: float) -> None:
        super().__init__(n_users, n_items, size + 1, std)
        with torch.no_grad():
            self.users.weight[:, -1] = 0
            self.items.weight[:, -1] = 0
        self.offset = torch.nn.Parameter(torch.zeros(()))

    def forward(self, rows: Rows) -> Tensor:
        """``[row]``."""
        users, items = self.users(rows.users), self.items(rows.items)
        met: Tensor = (users[:, :-1] * items[:, :-1]).sum(-1) + users[:, -1] + items[:, -1] + self.offset
        return met
