"""Each user's last item -> test, the one before -> valid, the rest -> train."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Case, Split, case
from tastemaker.data.splits.base import SplitRule, sequences
from tastemaker.errors import DataError


class LeaveOneOut(SplitRule):
    """The customary protocol of sequential recommendation: a k-core first, then the last two items held out.

    The history of a test case includes the valid item. Users with fewer than three interactions only train.
    """

    k_core: int = Field(default=5, ge=0)
    """Users and items with fewer interactions are dropped until none is left; 0 keeps everything."""
    min_rating: float | None = Field(default=None, allow_inf_nan=False)
    """Only interactions rated at least so count, before the k-core."""
    repeats: Literal["drop", "keep"] = "drop"
    """What to do with later interactions with the same item: kept, they put the answer into the history."""

    def apply(self, dataset: Dataset) -> Split:
        """Split the dataset; the split's own dataset is what the k-core left, renumbered."""
        data = dataset if self.min_rating is None else dataset.filter(min_rating=self.min_rating)
        data = data.without_repeats() if self.repeats == "drop" else data
        data = data.k_core(self.k_core) if self.k_core else data
        valid: list[Case] = []
        test: list[Case] = []
        for user, items, times in sequences(data):
            if len(items) >= 3:
                valid.append(case(user, items, times, len(items) - 2))
                test.append(case(user, items, times, len(items) - 1))
        if not test:
            raise DataError(f"{data.name}: no user has three interactions, so none can be held out; lower k_core")
        left = pl.int_range(pl.len(), dtype=pl.Int64).reverse().over("user")
        train = data.interactions.filter((left >= 2) | (pl.len().over("user") < 3))
        return Split(data, "leave-one-out", self.settings(), train, tuple(valid), tuple(test))
