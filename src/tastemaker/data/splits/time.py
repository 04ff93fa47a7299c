"""Rated interactions by calendar month -> the early ones train, the next valid, the last test."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from tastemaker.data.dataset import Dataset
from tastemaker.data.preference import PreferenceSplit
from tastemaker.data.splits._judged import History, checked, judged, liked_at, timed
from tastemaker.data.splits.base import SplitRule
from tastemaker.errors import DataError
from tastemaker.types import IntArray


class Time(SplitRule):
    """CoLLM's protocol: a cut in absolute time, every row showing what its user had rated until then.

    Months are counted back from the end of the data, in UTC. The defaults are those of MovieLens-1M; of the Amazon
    reviews: ``year=2017, min_count=21, min_rating=5, train_months=11, valid_months=0, test_months=1, skip_last=0``.
    """

    min_rating: float = Field(default=4, allow_inf_nan=False)
    """The lowest rating that counts as liked; everything below is disliked."""
    train_months: int | None = Field(default=10, ge=1)
    """None takes all there are before the others."""
    valid_months: int = Field(default=5, ge=0)
    """0 takes the earlier half of the test rows, by count."""
    test_months: int = Field(default=5, ge=1)
    skip_last: int = Field(default=1, ge=0)
    """Months at the end that are left out, such as one that is not whole."""
    year: int | None = Field(default=None, ge=1970, le=2099)
    """Only interactions of this year."""
    min_count: int = Field(default=0, ge=0)
    """Users and items with fewer interactions are dropped; counted once, jointly, so some may end up with fewer."""
    repeats: Literal["drop", "keep"] = "drop"
    """What to do with later interactions with the same item: kept, they put the target into its own history."""
    history: History = "likes"
    max_history: int | None = Field(default=None, ge=1)
    """How many of the latest items a row shows; None: all, which of users with thousands takes much memory."""

    def apply(self, dataset: Dataset) -> PreferenceSplit:
        """Split the dataset; the split's own dataset is what lies in its months, renumbered."""
        data = self._frequent(self._of_year(timed(dataset)))
        data = data.without_repeats() if self.repeats == "drop" else data
        back = _months_back(data)
        most = self.skip_last + self.test_months + self.valid_months
        first = int(back.max()) if self.train_months is None else most + self.train_months - 1
        inside = (back >= self.skip_last) & (back <= first)
        if not (inside & (back >= most)).any():
            raise DataError(
                f"{data.name} has {int(back.max()) + 1} months, none of them before the last {most} that are held "
                "out; lower valid_months, test_months or skip_last"
            )
        kept = data.interactions.filter(pl.Series(inside))
        note = f"Kept {kept.height:,} of {data.n_interactions:,} interactions, those of the months that are split."
        data = data.with_interactions(kept, note).compact()
        parts = self._parts(back[inside], data)
        rows = checked(judged(data, liked_at(data, self.min_rating), parts, self.history, self.max_history), data)
        return PreferenceSplit(data, "time", self.settings(), *rows)

    def _of_year(self, data: Dataset) -> Dataset:
        if self.year is None:
            return data
        year = pl.from_epoch("time", time_unit="s").dt.year()
        kept = data.interactions.filter(year == self.year)
        return data.with_interactions(kept, f"Kept {kept.height:,} interactions, those of {self.year}.")

    def _frequent(self, data: Dataset) -> Dataset:
        if not self.min_count:
            return data
        often = (pl.len().over("user") >= self.min_count) & (pl.len().over("item") >= self.min_count)
        kept = data.interactions.filter(often)
        note = f"Kept {kept.height:,} interactions, of users and items that have at least {self.min_count}."
        return data.with_interactions(kept, note)

    def _parts(self, back: IntArray, data: Dataset) -> IntArray:
        """``[interaction]``: 0, 1 or 2, by months back."""
        test = back < self.skip_last + self.test_months
        valid = ~test & (back < self.skip_last + self.test_months + self.valid_months)
        if not self.valid_months:
            order = np.argsort(data.interactions["time"].to_numpy()[test], kind="stable")
            valid = np.zeros_like(test)
            valid[np.flatnonzero(test)[order[: len(order) // 2]]] = True
        return np.where(valid, 1, np.where(test, 2, 0)).astype(np.int32)


def _months_back(data: Dataset) -> IntArray:
    """``[interaction]``: how many calendar months before the last one it was."""
    date = pl.from_epoch("time", time_unit="s").dt
    months = data.interactions.select(date.year().cast(pl.Int32) * 12 + date.month()).to_series().to_numpy()
    back: IntArray = (months.max() - months).astype(np.int32)
    return back
