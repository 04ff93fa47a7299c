"""Self-attention over what was liked and what was not (after SASRec, Kang and McAuley 2018) -> log-odds of an item."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from tastemaker.collab.base import CollabConfig
from tastemaker.collab.pointwise._network import Network
from tastemaker.collab.pointwise.sasrec import Attention, SASRec, SASRecConfig
from tastemaker.types import Query


class SASRecAnswersConfig(SASRecConfig):
    """As SASRec's, over a longer history: half of it may be what was disliked."""

    max_history: int = Field(50, ge=1)


class SASRecAnswers(SASRec):
    """SASRec that reads every answer, not likes alone: what a sequence of all labels is worth without a language model.

    Of use where the split shows dislikes (``history="all"``); where it does not, it is SASRec.
    """

    Config: ClassVar[type[CollabConfig]] = SASRecAnswersConfig
    config: SASRecAnswersConfig

    def read(self, query: Query) -> list[int]:
        """The last known items of the history, those disliked numbered after all items and the unknown one."""
        likes, known = query.likes or (True,) * len(query.history), self.known_items
        found = [
            int(item) if like else int(item) + len(known) + 1
            for item, like in zip(query.history, likes, strict=True)
            if 0 <= item < len(known) and known[item]
        ]
        return found[-self.config.max_history :]

    def _network(self) -> Network:
        return _Answered(len(self.item_counts), self.config)


class _Answered(Attention):
    def __init__(self, n_items: int, config: SASRecConfig) -> None:
        super().__init__(n_items, config)
        self.answers = nn.Parameter(torch.randn(2, config.embedding_size) * config.embedding_size**-0.5)

    def embedded(self, histories: Tensor) -> Tensor:
        width = len(self.items.weight)
        found: Tensor = self.items(histories % width) + self.answers[(histories >= width).long()]
        return found
