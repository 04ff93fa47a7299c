"""How much of what a query shows was liked -> log-odds: how generous the user is, read off the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from tastemaker.collab.base import CollabConfig
from tastemaker.collab.pointwise._rates import RateConfig, item_log_odds, log_odds, mean_log_odds
from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.data.preference import PreferenceSplit
from tastemaker.types import FloatArray, IntArray, Progress, Query


class LikeShareConfig(RateConfig):
    """What is added to the share."""

    items: Literal["ignore", "rate"] = "ignore"
    """``"rate"`` adds the item's smoothed like-rate in training, as log-odds."""
    least: float = Field(0.01, gt=0, lt=0.5)
    """Shares below this, or above 1 less this, count as this."""


class LikeShare(PointwiseModel):
    """The share of liked items in ``query.history``; without one, the overall rate. Needs a split that shows dislikes.

    Alone it learns nothing but the overall rate, so it judges users of another domain as well as those of its own.
    """

    Config: ClassVar[type[CollabConfig]] = LikeShareConfig
    config: LikeShareConfig
    items: FloatArray
    """``[item + 1]``, the unknown one last, less the overall rate."""
    mean: float

    def _fit(self, split: PreferenceSplit, rng: np.random.Generator, progress: Progress) -> None:
        self.mean = mean_log_odds(split)
        self.items = item_log_odds(split, self.config.smoothing) - np.float32(self.mean)

    def _log_odds(self, queries: Sequence[Query], items: IntArray) -> FloatArray:
        share = np.array([np.mean(query.likes) if query.likes else np.nan for query in queries])
        told = log_odds(np.clip(share, self.config.least, 1 - self.config.least))
        said = np.where(np.isnan(share), np.float32(self.mean), told)
        return said + self.items[items] if self.config.items == "rate" else said

    def _state(self) -> dict[str, np.ndarray[Any, Any]]:
        return {"items": self.items, "mean": np.array([self.mean])}

    def _restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None:
        self.items = np.asarray(state["items"], dtype=np.float32)
        self.mean = float(state["mean"][0])
