"""How often an item and a user's ratings were likes -> the sum of both log-odds: what every model must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from tastemaker.collab.base import CollabConfig
from tastemaker.collab.pointwise._rates import RateConfig, item_log_odds, log_odds, mean_log_odds, user_log_odds
from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.data.preference import PreferenceSplit
from tastemaker.types import FloatArray, IntArray, Progress, Query


class UserItemRateConfig(RateConfig):
    """Where the user's rate comes from."""

    users: Literal["train", "history"] = "train"
    """``"train"``: the user's training rows. ``"history"``: what the query says the user liked and did not, which
    means something only where the split shows all labels."""


class UserItemRate(PointwiseModel):
    """The item's smoothed like-rate and the user's, as log-odds, less the overall rate counted twice."""

    Config: ClassVar[type[CollabConfig]] = UserItemRateConfig
    config: UserItemRateConfig
    items: FloatArray
    """``[item + 1]``, the unknown one last."""
    users: FloatArray
    """``[user + 1]``, the unknown one last."""
    mean: float

    def _fit(self, split: PreferenceSplit, rng: np.random.Generator, progress: Progress) -> None:
        self.items = item_log_odds(split, self.config.smoothing)
        self.users = user_log_odds(split, self.config.smoothing)
        self.mean = mean_log_odds(split)

    def _log_odds(self, queries: Sequence[Query], items: IntArray) -> FloatArray:
        users = self.users[self.users_of(queries)] if self.config.users == "train" else self._told(queries)
        return self.items[items] + users - np.float32(self.mean)

    def _told(self, queries: Sequence[Query]) -> FloatArray:
        prior = 1.0 / (1.0 + np.exp(-self.mean))
        likes, seen = (np.array([f(query.likes) for query in queries], dtype=np.float64) for f in (sum, len))
        return log_odds((likes + self.config.smoothing * prior) / (seen + self.config.smoothing))

    def _state(self) -> dict[str, np.ndarray[Any, Any]]:
        return {"items": self.items, "users": self.users, "mean": np.array([self.mean])}

    def _restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None:
        self.items, self.users = (np.asarray(state[name], dtype=np.float32) for name in ("items", "users"))
        self.mean = float(state["mean"][0])
