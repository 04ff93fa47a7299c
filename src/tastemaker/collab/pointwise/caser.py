"""Convolutions over what was liked before (Caser, Tang and Wang 2018) -> log-odds of the item asked about."""

from __future__ import annotations

from typing import ClassVar, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.collab._losses import Dropout
from tastemaker.collab.base import CollabConfig
from tastemaker.collab.pointwise._network import Network, PointwiseConfig
from tastemaker.collab.pointwise._reader import Reader, ReaderModel


class CaserConfig(PointwiseConfig):
    """How the history is read; sizes and rate are those of TALLRec's baselines."""

    max_history: int = Field(10, ge=1)
    weight_decay: float = Field(1e-3, ge=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    filter_heights: tuple[int, ...] = (2, 3, 4)
    """How many successive items a horizontal filter spans."""
    n_filters: int = Field(16, ge=1)
    """Horizontal filters per height."""

    @model_validator(mode="after")
    def _filters_fit(self) -> Self:
        if not self.filter_heights or not all(1 <= height <= self.max_history for height in self.filter_heights):
            raise ValueError(f"filter_heights must lie between 1 and max_history={self.max_history}")
        return self


class Caser(ReaderModel):
    """Horizontal filters find patterns of successive likes, a vertical one weighs their places."""

    Config: ClassVar[type[CollabConfig]] = CaserConfig
    config: CaserConfig

    def _network(self) -> Network:
        return _Convolutions(len(self.item_counts), self.config)


class _Convolutions(Reader):
    def __init__(self, n_items: int, config: CaserConfig) -> None:
        size = config.embedding_size
        super().__init__(n_items, size)
        self.horizontal = nn.ModuleList(nn.Conv1d(size, config.n_filters, height) for height in config.filter_heights)
        self.vertical = nn.Linear(config.max_history, 1, bias=False)
        self.dropout = Dropout(config.dropout)
        self.project = nn.Linear(config.n_filters * len(config.filter_heights) + size, size)

    def read(self, histories: Tensor, real: Tensor) -> Tensor:
        places = self.items(histories).transpose(1, 2)
        strongest = [functional.relu(filters(places)).amax(dim=-1) for filters in self.horizontal]
        found = torch.cat([*strongest, self.vertical(places)[..., 0]], dim=-1)
        return cast(Tensor, self.project(self.dropout(found)))
