"""Training counts -> one order for everybody: the baseline every other model must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from tastemaker.collab.base import CollabConfig, CollaborativeModel
from tastemaker.data.split import Split
from tastemaker.errors import DataError
from tastemaker.types import FloatArray, Progress, Query

DAY = 86_400


class PopularityConfig(CollabConfig):
    """How an interaction counts."""

    half_life_days: float | None = Field(None, gt=0)
    """An interaction this much older than the newest counts half; None counts all alike."""


class Popularity(CollaborativeModel):
    """Scores are how often an item was chosen, whoever asks."""

    Config: ClassVar[type[CollabConfig]] = PopularityConfig
    personal: ClassVar[bool] = False
    config: PopularityConfig
    weights: FloatArray
    """``[item]``: (decayed) training counts."""

    def _fit(self, split: Split, rng: np.random.Generator, progress: Progress) -> None:
        half_life = self.config.half_life_days
        if half_life is None:
            self.weights = self.item_counts.astype(np.float32)
            return
        if split.train["time"].null_count():
            raise DataError(f"{split.dataset.name} has interactions without time; leave half_life_days out")
        time = split.train["time"].to_numpy()
        worth = np.exp2((time - time.max()) / (half_life * DAY))
        counts = np.bincount(split.train["item"].to_numpy(), weights=worth, minlength=len(self.item_counts))
        self.weights = counts.astype(np.float32)

    def _score(self, queries: Sequence[Query]) -> FloatArray:
        return np.tile(self.weights, (len(queries), 1))

    def _prior(self) -> FloatArray:
        return self.weights

    def _state(self) -> dict[str, np.ndarray[Any, Any]]:
        return {"weights": self.weights}

    def _restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None:
        self.weights = np.asarray(state["weights"], dtype=np.float32)
