"""Rated interactions by time -> the earliest share trains, the next is valid, the last is test."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from tastemaker.data.dataset import Dataset
from tastemaker.data.preference import PreferenceSplit
from tastemaker.data.splits._judged import History, checked, judged, liked_at, ratings, timed
from tastemaker.data.splits.base import SplitRule
from tastemaker.errors import DataError
from tastemaker.types import IntArray


class TimeQuantiles(SplitRule):
    """A cut in absolute time for any table of ratings, whatever months it spans; what a second holds stays together."""

    train: float = Field(0.8, gt=0, lt=1)
    valid: float = Field(0.1, ge=0, lt=1)
    min_rating: float | None = Field(default=None, allow_inf_nan=False)
    """The lowest rating that counts as liked; None: the median, or what is above it where nothing is below."""
    history: History = "all"
    max_history: int | None = Field(default=None, ge=1)
    """How many of the latest items a row shows; None: all, which of users with thousands takes much memory."""

    @model_validator(mode="after")
    def _leave_a_test(self) -> Self:
        if self.train + self.valid >= 1:
            raise ValueError("train and valid leave nothing to test on")
        return self

    def apply(self, dataset: Dataset) -> PreferenceSplit:
        """Split the dataset. Raises `DataError` where ratings or times are missing, or all alike."""
        data = timed(dataset).without_repeats()
        liked = liked_at(data, self._least(data))
        if liked.all() or not liked.any():
            kind = "liked" if liked[0] else "disliked"
            raise DataError(f"{data.name} has only {kind} ratings; set min_rating so that there are both")
        rows = checked(judged(data, liked, self._parts(data), self.history, self.max_history), data)
        return PreferenceSplit(data, "time-quantiles", self.settings(), *rows)

    def _least(self, data: Dataset) -> float:
        if self.min_rating is not None:
            return self.min_rating
        rated = ratings(data)
        middle = float(np.median(rated.to_numpy()))
        above = rated.filter(rated > middle)
        return middle if (rated < middle).any() or above.is_empty() else float(above.to_numpy().min())

    def _parts(self, data: Dataset) -> IntArray:
        """``[interaction]``: 0, 1 or 2, by time."""
        times = data.interactions["time"].to_numpy()
        order, shares = np.sort(times), (self.train, self.train + self.valid)
        ends = [order[min(len(order) - 1, round(share * len(order)))] for share in shares]
        parts: IntArray = ((times >= ends[0]).astype(np.int32) + (times >= ends[1])).astype(np.int32)
        return parts
