"""A recurrent network over what was liked before (GRU4Rec, Hidasi et al. 2016) -> log-odds of the item asked about."""

from __future__ import annotations

from typing import ClassVar, cast

from pydantic import Field
from torch import Tensor, nn

from tastemaker.collab._losses import Dropout
from tastemaker.collab.base import CollabConfig
from tastemaker.collab.pointwise._network import Network, PointwiseConfig
from tastemaker.collab.pointwise._reader import Reader, ReaderModel


class GRU4RecConfig(PointwiseConfig):
    """How the history is read; sizes and rate are those of TALLRec's baselines."""

    max_history: int = Field(10, ge=1)
    weight_decay: float = Field(1e-3, ge=0)
    dropout: float = Field(0.1, ge=0, lt=1)


class GRU4Rec(ReaderModel):
    """One GRU layer over the liked items, oldest first; its last state meets the item asked about."""

    Config: ClassVar[type[CollabConfig]] = GRU4RecConfig
    config: GRU4RecConfig

    def _network(self) -> Network:
        return _Recurrence(len(self.item_counts), self.config)


class _Recurrence(Reader):
    def __init__(self, n_items: int, config: GRU4RecConfig) -> None:
        super().__init__(n_items, config.embedding_size)
        self.gru = nn.GRU(config.embedding_size, config.embedding_size, batch_first=True)
        self.dropout = Dropout(config.dropout)

    def read(self, histories: Tensor, real: Tensor) -> Tensor:
        # What fills a short history comes first and is all zeros: every state begins in the same place.
        return cast(Tensor, self.gru(self.dropout(self.items(histories)))[0][:, -1])
