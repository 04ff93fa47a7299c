"""What each user liked -> a share of it held out, by time or at random: one question a user, several right answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Case, Split
from tastemaker.data.splits.base import SplitRule, sequences
from tastemaker.errors import DataError
from tastemaker.types import Item, Query, User


class PerUserRatio(SplitRule):
    """Chat-REC's protocol: a fifth of what a user liked is to be found, the rest is known.

    All cases of a user share one query, whose history is what is not held out, oldest first. Who liked too little to
    leave something in every part only trains.
    """

    min_rating: float | None = Field(default=4, allow_inf_nan=False)
    """Only interactions rated at least so count; ignored for a dataset without ratings."""
    test: float = Field(default=0.2, gt=0, lt=1)
    """Share of a user's items that is asked for."""
    valid: float = Field(default=0.1, gt=0, lt=1)
    """Share of the others that is held out for validation."""
    order: Literal["time", "random"] = "time"
    """Whether the latest are held out, or any."""
    seed: int = Field(default=0, ge=0)
    """Of the random order."""

    def apply(self, dataset: Dataset) -> Split:
        """Split the dataset; users and items keep their numbers."""
        rated = dataset.interactions["rating"].null_count() < dataset.n_interactions
        data = dataset.filter(min_rating=self.min_rating) if rated and self.min_rating is not None else dataset
        data = data.without_repeats()
        rng = np.random.default_rng(self.seed)
        parts: list[int] = []
        valid: list[Case] = []
        test: list[Case] = []
        for user, items, times in sequences(data):
            part = self._parts(len(items), rng)
            parts += part
            for number, cases in ((1, valid), (2, test)):
                cases += _cases(user, items, times if self.order == "time" else [None] * len(items), part, number)
        if not test:
            raise DataError(f"{data.name}: no user has three items, so none can be held out; lower min_rating")
        train = data.interactions.filter(pl.Series(parts) == 0)
        return Split(data, "per-user-ratio", self.settings(), train, tuple(valid), tuple(test))

    def _parts(self, n: int, rng: np.random.Generator) -> list[int]:
        """For each of a user's items, oldest first: 0 to train, 1 to validate, 2 to test."""
        if n < 3:
            return [0] * n
        tested = min(n - 2, max(1, round(n * self.test)))
        asked = min(n - tested - 1, max(1, round((n - tested) * self.valid)))
        parts = np.repeat([0, 1, 2], [n - tested - asked, asked, tested])
        shuffled: list[int] = (parts if self.order == "time" else rng.permutation(parts)).tolist()
        return shuffled


def _cases(user: int, items: Sequence[int], times: Sequence[int | None], parts: Sequence[int], part: int) -> list[Case]:
    """One for each item of the part, all with the same query: at the time of the first of them, after all before."""
    asked = [at for at, number in enumerate(parts) if number == part]
    if not asked:
        return []
    history = tuple(Item(item) for item, number in zip(items, parts, strict=True) if number < part)
    time = times[asked[0]]
    query = Query(history=history, user=User(user), time=None if time is None else float(time))
    return [Case(query, Item(items[at])) for at in asked]
