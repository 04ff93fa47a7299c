"""Labelled exposures -> train, valid and test of a yes/no question: will this user like this item?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tastemaker.data import frames
from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Split
from tastemaker.errors import DataError
from tastemaker.types import BoolArray, Item, Query


@dataclass(frozen=True, slots=True)
class Judgement:
    """One row: a query whose only candidate is the item shown, and whether the user liked it.

    ``query.history`` is what the protocol lets a model see before the row, ``query.likes`` what the user said of each
    of it: as long as the history, and all True where the protocol shows only what was liked.
    """

    query: Query
    liked: bool

    @property
    def item(self) -> Item:
        """The item shown."""
        return self.query.candidates[0]


@dataclass(frozen=True, eq=False)
class PreferenceSplit:
    """A named protocol of yes/no questions applied to a dataset, rows in the protocol's own order."""

    dataset: Dataset
    name: str
    settings: Mapping[str, int | float | str]
    train: tuple[Judgement, ...]
    valid: tuple[Judgement, ...]
    test: tuple[Judgement, ...]

    @cached_property
    def item_counts(self) -> npt.NDArray[np.int32]:
        """``[item]``: how many train rows show it."""
        shown = [row.item for row in self.train]
        return np.bincount(shown, minlength=self.dataset.n_items).astype(np.int32)

    @cached_property
    def user_counts(self) -> npt.NDArray[np.int32]:
        """``[user]``: how many train rows the user has."""
        users = [row.query.user for row in self.train if row.query.user is not None]
        return np.bincount(users, minlength=self.dataset.n_users).astype(np.int32)

    def counts(self) -> dict[str, int]:
        """How many rows, users and items each part has, and how many of its rows are liked."""
        found = {"users": self.dataset.n_users, "items": self.dataset.n_items}
        for part, rows in (("train", self.train), ("valid", self.valid), ("test", self.test)):
            found[f"{part}_rows"] = len(rows)
            found[f"{part}_users"] = len({row.query.user for row in rows})
            found[f"{part}_items"] = len({row.item for row in rows})
            found[f"{part}_liked"] = sum(row.liked for row in rows)
        return found

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the dataset's content, the protocol, its settings and every row."""
        digest = hashlib.sha256(self.dataset.hash.encode())
        digest.update(json.dumps([self.name, dict(sorted(self.settings.items()))]).encode())
        for rows in (self.train, self.valid, self.test):
            frames.update_listed(digest, map(_facts, rows))
        return digest.hexdigest()


AnySplit = Split | PreferenceSplit
"""What a protocol makes of a dataset: questions of what comes next, or of what is liked."""


def require_both(split: PreferenceSplit) -> None:
    """Nothing, if training rows have answers of both kinds; else `DataError`."""
    liked = labels(split.train)
    if liked.all() or not liked.any():
        what = f"only {'liked' if liked[0] else 'disliked'} training rows" if len(liked) else "no training rows"
        raise DataError(
            f"split {split.name!r} of {split.dataset.name!r} has {what}; give it both kinds, such as by min_rating"
        )


def labels(rows: Sequence[Judgement]) -> BoolArray:
    """``[row]``: whether the user liked the item shown."""
    return np.array([row.liked for row in rows], dtype=np.bool_)


def _facts(row: Judgement) -> list[object]:
    query = row.query
    history = [int(item) for item in query.history]
    return [query.user, history, [int(like) for like in query.likes], query.time, int(row.item), int(row.liked)]
