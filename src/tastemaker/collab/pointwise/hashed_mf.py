"""Who asks and what is asked about -> the agreement of two short codes of bits, which can be written as text."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.collab.base import CollabConfig
from tastemaker.collab.pointwise._network import Network, NetworkModel, PointwiseConfig, Rows, table


class HashedMFConfig(PointwiseConfig):
    """How many bits there are, and how soon training means them; decay and hardening are ours (docs/decisions/0012)."""

    embedding_size: int = Field(32, ge=1)
    """Bits of a code."""
    init_std: float = Field(0.1, gt=0)
    learning_rate: float = Field(1e-2, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    hardening: float = Field(0.002, gt=0, le=1)
    """By how much the share of coordinates that are bits already grows with each step of training."""


class HashedMF(NetworkModel):
    """Matrix factorisation whose vectors are -1 or 1 in every column (BinLLM, Zhang et al. 2024, section 3.2).

    ``HashedMF(embedding_size=32).fit(split).item_vectors`` has the codes; nothing is known of new users or items.
    """

    Config: ClassVar[type[CollabConfig]] = HashedMFConfig
    config: HashedMFConfig

    def _network(self) -> Network:
        config = self.config
        n_users, n_items = len(self.user_counts), len(self.item_counts)
        return Codes(n_users, n_items, config.embedding_size, config.init_std, config.hardening)


class Codes(Network):
    """A code for every user and item: the signs of what a head makes of its vector."""

    steps: Tensor

    def __init__(self, n_users: int, n_items: int, size: int, std: float, hardening: float) -> None:
        super().__init__()
        self.users, self.items = table(n_users, size, std), table(n_items, size, std)
        self.user_head, self.item_head = nn.Linear(size, size), nn.Linear(size, size)
        self.scale = nn.Parameter(torch.tensor(size**-0.5))  # bits agree in whole numbers, far too sure of themselves
        self.hardening = hardening
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, rows: Rows) -> Tensor:
        """``[row]``."""
        if self.training:
            self.steps += 1
        return super().forward(rows) * self.scale

    def user(self, rows: Rows) -> Tensor:
        """``[row, d]``; zero for who is not known."""
        known = rows.users < self.users.num_embeddings - 1
        return self._code(self.user_head(self.users(rows.users))) * known[:, None]

    def item_table(self) -> Tensor:
        """``[item, d]``."""
        return functional.pad(self._code(self.item_head(self.items.weight[:-1])), (0, 0, 0, 1))

    def _code(self, raw: Tensor) -> Tensor:
        """Bits; in training only so many of them, and through all of them the gradient of the smooth value."""
        smooth = torch.tanh(raw)
        bits = torch.where(smooth > 0, 1.0, -1.0)
        if not self.training:
            return bits
        hard = torch.rand_like(smooth) < self.hardening * self.steps
        return smooth + torch.where(hard, bits - smooth, 0.0).detach()
