"""A gated recurrent network over the history (GRU4Rec, Hidasi et al. 2016) -> scores of the next item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from pydantic import Field
from torch import Tensor, nn

from tastemaker.collab._losses import Dropout
from tastemaker.collab._sequence import Body, SequenceConfig, SequenceModel
from tastemaker.collab.base import CollabConfig


class GRU4RecConfig(SequenceConfig):
    """How the history is read."""

    published: ClassVar[Mapping[str, Any]] = {
        **SequenceConfig.published,
        "hidden_size": 64,
        "dropout": 0.0,
        "embedding_dropout": 0.0,
    }

    hidden_size: int = Field(128, ge=1)
    """Width of the recurrent state."""


class GRU4Rec(SequenceModel):
    """One GRU layer whose state is projected back to the size of the embeddings."""

    Config: ClassVar[type[CollabConfig]] = GRU4RecConfig
    config: GRU4RecConfig

    def _body(self) -> Body:
        return _Recurrence(self.config)


class _Recurrence(Body):
    def __init__(self, config: GRU4RecConfig) -> None:
        super().__init__()
        self.gru = nn.GRU(config.embedding_size, config.hidden_size, batch_first=True)
        self.dropout = Dropout(config.dropout)
        self.project = nn.Linear(config.hidden_size, config.embedding_size)
        self.norm = nn.LayerNorm(config.embedding_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """``[b, t, d]`` -> the same shape."""
        return cast(Tensor, self.norm(self.project(self.dropout(self.gru(hidden)[0]))))
