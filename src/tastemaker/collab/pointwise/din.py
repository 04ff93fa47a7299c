"""User, item, and the liked items that matter for it (DIN, Zhou et al. 2018) -> log-odds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.collab._losses import Dropout
from tastemaker.collab.base import CollabConfig
from tastemaker.collab.pointwise._network import Network, NetworkModel, PointwiseConfig, Rows, table
from tastemaker.errors import UsageError
from tastemaker.types import BoolArray, FloatArray, Query


class DINConfig(PointwiseConfig):
    """The layers that weigh the history and those that answer."""

    embedding_size: int = Field(64, ge=1)
    """Of each field: user, item and history; the vectors it lends are three times as long."""
    max_history: int = Field(10, ge=1)
    attention_layers: tuple[int, ...] = Field((64, 16), min_length=1)
    layers: tuple[int, ...] = Field((200, 80), min_length=1)
    dropout: float = Field(0.2, ge=0, lt=1)


class DIN(NetworkModel):
    """Each liked item counts as much as a small network says it matters for the item asked about."""

    Config: ClassVar[type[CollabConfig]] = DINConfig
    config: DINConfig

    def knows(self, queries: Sequence[Query]) -> BoolArray:
        """``[query]``: whether the user is known or liked a known item."""
        liked = np.array([bool(self.read(query)) for query in queries], dtype=np.bool_)
        return liked | (self.users_of(queries) >= 0)

    def user_vectors(self, queries: Sequence[Query]) -> FloatArray:
        """``[query, 3 d]``: item, attended history, user. Raises `UsageError` where several items are asked about."""
        if any(len(query.candidates) > 1 for query in queries):
            raise UsageError("a DIN user vector depends on the item asked about; ask about one candidate at a time")
        return self._users(queries, self.items_of([q.candidates[0] if q.candidates else -1 for q in queries]))

    def _network(self) -> Network:
        return Interest(len(self.user_counts), len(self.item_counts), self.config)


class Interest(Network):
    """DIN's layers."""

    def __init__(self, n_users: int, n_items: int, config: DINConfig) -> None:
        super().__init__()
        size = config.embedding_size
        self.users, self.items = table(n_users, size, 0.1), table(n_items, size, 0.1)
        self.weigh = _layers(4 * size, config.attention_layers, 0.0)
        self.answer = _layers(3 * size, config.layers, config.dropout)

    def user(self, rows: Rows) -> Tensor:
        """``[row, 3 d]``: the item, what was liked as far as it matters for the item, the user."""
        item, liked = self.items(rows.items), self.items(rows.histories)
        asked = item[:, None].expand_as(liked)
        pairs = torch.cat([asked, liked, asked - liked, asked * liked], dim=-1)
        weight = self.weigh(pairs.flatten(0, 1)).view(*rows.histories.shape, 1)  # of what fills up, the vector is zero
        return torch.cat([item, (weight * liked).sum(1), self.users(rows.users)], dim=-1)

    def forward(self, rows: Rows) -> Tensor:
        """``[row]``."""
        answer: Tensor = self.answer(self.user(rows)).squeeze(-1)
        return answer

    def item_table(self) -> Tensor:
        """``[item, 3 d]``: the item's vector three times, to be as long as a user's."""
        return self.items.weight.repeat(1, 3)


class Dice(nn.Module):
    """Values, or ``slope`` times them, as far as a sigmoid of their standing in the batch says (DIN, eq. 3)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.standing = nn.BatchNorm1d(size, affine=False)
        self.slope = nn.Parameter(torch.zeros(size))

    def forward(self, values: Tensor) -> Tensor:
        """``[row, d]`` -> the same shape."""
        if self.training and len(values) == 1:  # who stands alone stands as all before did
            standing = functional.batch_norm(values, self.standing.running_mean, self.standing.running_var)
        else:
            standing = self.standing(values)
        gate = torch.sigmoid(standing)
        return values * (gate + self.slope * (1 - gate))


def _layers(size: int, hidden: Sequence[int], dropout: float) -> nn.Sequential:
    parts: list[nn.Module] = []
    for before, after in zip((size, *hidden), hidden, strict=False):
        parts += [nn.Linear(before, after), Dice(after), Dropout(dropout)]
    return nn.Sequential(*parts, nn.Linear(hidden[-1], 1))
