"""Each user's ratings in a random order -> the first ten shown, the last one asked for; users are split at random."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from tastemaker.data.dataset import Dataset
from tastemaker.data.preference import Judgement, PreferenceSplit
from tastemaker.data.splits._judged import checked, liked_at
from tastemaker.data.splits.base import SplitRule, sequences
from tastemaker.types import Item, Query, User


class PerUserRandom(SplitRule):
    """TALLRec's protocol for books, where no times are known: one question for each user.

    The defaults are those of Book-Crossing, whose rating 0 says "read, not rated" and counts as disliked there.
    The users' own shuffle was not seeded, so the parts are like the released ones, not the same. Of a
    user's ratings of one item the first counts.
    """

    min_rating: float = Field(default=6, allow_inf_nan=False)
    """The lowest rating that counts as liked; everything below is disliked."""
    min_history: int = Field(default=3, ge=1)
    """Users with fewer ratings than this and one more are left out."""
    max_history: int = Field(default=10, ge=1)
    """How many items are shown."""
    train: float = Field(default=0.8, gt=0, lt=1)
    valid: float = Field(default=0.1, ge=0, lt=1)
    seed: int = Field(default=42, ge=0)

    @model_validator(mode="after")
    def _leaves_a_test(self) -> Self:
        if self.train + self.valid >= 1:
            raise ValueError("train and valid leave no users to test on")
        return self

    def apply(self, dataset: Dataset) -> PreferenceSplit:
        """Split the dataset; users and items keep their numbers."""
        rng, data = np.random.default_rng(self.seed), dataset.without_repeats()
        likes = liked_at(data, self.min_rating).tolist()
        rows, start = [], 0
        for user, items, _ in sequences(data):
            order = rng.permutation(len(items))
            if len(items) > self.min_history:
                said = likes[start : start + len(items)]
                rows.append(self._row(user, [(Item(items[at]), said[at]) for at in order]))
            start += len(items)
        rows = [rows[at] for at in rng.permutation(len(rows))]
        first = int(len(rows) * self.train)
        second = first + int(len(rows) * self.valid)
        parts = checked((tuple(rows[:first]), tuple(rows[first:second]), tuple(rows[second:])), data)
        return PreferenceSplit(data, "per-user-random", self.settings(), *parts)

    def _row(self, user: int, judged: list[tuple[Item, bool]]) -> Judgement:
        item, liked = judged[-1]
        shown = judged[:-1][: self.max_history]
        history, likes = tuple(item for item, _ in shown), tuple(like for _, like in shown)
        return Judgement(Query(history, (item,), User(user), likes=likes), liked)
