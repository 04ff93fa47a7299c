"""Convolutions over the last few items (Caser, Tang and Wang 2018) -> scores of the next item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.collab._losses import Dropout
from tastemaker.collab._sequence import Body, SequenceConfig, SequenceModel
from tastemaker.collab.base import CollabConfig


class CaserConfig(SequenceConfig):
    """What is looked for in the last items."""

    published: ClassVar[Mapping[str, Any]] = {**SequenceConfig.published, "n_filters": 16, "n_vertical": 1}

    epochs: int = Field(12, ge=1)
    window: int = Field(10, ge=1)
    """Items a prediction looks back on; those before the history began count as zero vectors."""
    filter_heights: tuple[int, ...] = (2, 3, 4)
    """How many successive items a horizontal filter spans; none may be taller than the window."""
    n_filters: int = Field(32, ge=1)
    """Horizontal filters per height."""
    n_vertical: int = Field(4, ge=1)
    """Weighted sums over the window."""

    @model_validator(mode="after")
    def _filters_fit(self) -> Self:
        if not self.filter_heights or not all(1 <= height <= self.window for height in self.filter_heights):
            raise ValueError(f"filter_heights must lie between 1 and window={self.window}")
        return self


class Caser(SequenceModel):
    """Horizontal filters find patterns of successive items, vertical ones weigh the places of the window."""

    Config: ClassVar[type[CollabConfig]] = CaserConfig
    config: CaserConfig

    def _body(self) -> Body:
        return _Convolutions(self.config)


class _Convolutions(Body):
    def __init__(self, config: CaserConfig) -> None:
        super().__init__()
        size, self.window = config.embedding_size, config.window
        self.horizontal = nn.ModuleList(nn.Conv1d(size, config.n_filters, height) for height in config.filter_heights)
        self.vertical = nn.Linear(config.window, config.n_vertical, bias=False)
        self.dropout = Dropout(config.dropout)
        self.project = nn.Linear(
            config.n_filters * len(config.filter_heights) + config.n_vertical * size, config.embedding_size
        )
        self.norm = nn.LayerNorm(config.embedding_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """``[b, t, d]`` -> the same shape; every position sees its own window."""
        padded = functional.pad(hidden, (0, 0, self.window - 1, 0)).transpose(1, 2)
        found = [self._strongest(padded, filters) for filters in self.horizontal]
        weighed = self.vertical(padded.unfold(2, self.window, 1)).transpose(1, 2).flatten(2)
        return cast(Tensor, self.norm(self.project(self.dropout(torch.cat([*found, weighed], dim=-1)))))

    def _strongest(self, padded: Tensor, filters: nn.Module) -> Tensor:
        """``[b, t, filter]``: each filter's largest answer within the window."""
        answers = functional.relu(filters(padded))
        width = self.window - (padded.shape[-1] - answers.shape[-1])
        return functional.max_pool1d(answers, width, stride=1).transpose(1, 2)
