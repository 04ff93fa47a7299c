"""Users in order of their first interaction -> the earliest train, the next valid, the latest test."""

from __future__ import annotations

from typing import Literal, Self

import polars as pl
from pydantic import Field, model_validator

from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Case, Split, case
from tastemaker.data.splits.base import SplitRule, UserSequence, sequences
from tastemaker.errors import DataError


class UserRatio(SplitRule):
    """LLaRA's protocol: 8:1:1 of the users by first interaction; the last item of a valid or test user is asked for.

    Ties in the first interaction are broken by user number. A held-out user with too short a history asks nothing.
    """

    train: float = Field(default=0.8, gt=0, lt=1)
    valid: float = Field(default=0.1, ge=0, lt=1)
    min_rating: float | None = Field(default=3, allow_inf_nan=False)
    """Only interactions rated at least so count; ignored for a dataset without ratings."""
    min_history: int = Field(default=3, ge=1)
    """Items a case, or a training example, needs before the one asked for."""
    repeats: Literal["drop", "keep"] = "drop"
    """What to do with later interactions with the same item: kept, they put the answer into the history."""

    @model_validator(mode="after")
    def _leaves_a_test(self) -> Self:
        if self.train + self.valid >= 1:
            raise ValueError("train and valid leave no users to test on")
        return self

    def apply(self, dataset: Dataset) -> Split:
        """Split the dataset; users and items keep their numbers."""
        rated = dataset.interactions["rating"].null_count() < dataset.n_interactions
        data = dataset.filter(min_rating=self.min_rating) if rated and self.min_rating is not None else dataset
        data = data.without_repeats() if self.repeats == "drop" else data
        ordered = sorted(sequences(data), key=_start)
        first, second = int(len(ordered) * self.train), int(len(ordered) * self.valid)
        train = pl.Series([user for user, _, _ in ordered[:first]], dtype=pl.Int32)
        valid = self._cases(ordered[first : first + second])
        test = self._cases(ordered[first + second :])
        if train.is_empty() or not test:
            raise DataError(f"{data.name}: {len(ordered)} users are too few to split by {self.train:g}/{self.valid:g}")
        rows = data.interactions.filter(pl.col("user").is_in(train.implode()))
        return Split(data, "user-ratio", self.settings(), rows, valid, test)

    def _cases(self, users: list[UserSequence]) -> tuple[Case, ...]:
        return tuple(
            case(u, items, times, len(items) - 1) for u, items, times in users if len(items) > self.min_history
        )


def _start(sequence: UserSequence) -> tuple[int, int]:
    user, _, times = sequence
    return (0 if times[0] is None else times[0], user)
