"""Labels of users or items -> smoothed like-rates as log-odds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tastemaker.collab.base import CollabConfig
from tastemaker.data.preference import PreferenceSplit, labels
from tastemaker.types import BoolArray, FloatArray, IntArray


class RateConfig(CollabConfig):
    """How much a rate must have been seen to be believed."""

    smoothing: float = Field(5.0, gt=0, allow_inf_nan=False)
    """How many rows at the overall rate are added to those of each user or item."""


def mean_log_odds(split: PreferenceSplit) -> float:
    """The overall like-rate of the training rows."""
    return float(log_odds(labels(split.train).mean()))


def item_log_odds(split: PreferenceSplit, smoothing: float) -> FloatArray:
    """``[item + 1]``: each item's smoothed like-rate; the last is that of an unknown item."""
    items = np.array([row.item for row in split.train], dtype=np.int32)
    return _smoothed(items, labels(split.train), split.dataset.n_items, smoothing)


def user_log_odds(split: PreferenceSplit, smoothing: float) -> FloatArray:
    """``[user + 1]``: each user's smoothed like-rate; the last is that of an unknown user."""
    known = [row for row in split.train if row.query.user is not None]
    users = np.array([row.query.user for row in known], dtype=np.int32)
    return _smoothed(users, labels(known), split.dataset.n_users, smoothing)


def log_odds(rate: npt.ArrayLike) -> FloatArray:
    """Of a probability strictly between 0 and 1."""
    share = np.asarray(rate, dtype=np.float64)
    return np.asarray(np.log(share) - np.log1p(-share), dtype=np.float32)


def _smoothed(of: IntArray, liked: BoolArray, n: int, smoothing: float) -> FloatArray:
    likes, seen = np.bincount(of, weights=liked, minlength=n + 1), np.bincount(of, minlength=n + 1)
    return log_odds((likes + smoothing * liked.mean()) / (seen + smoothing))
