"""A Dataset -> train, valid and test by a named protocol, with counts and a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from tastemaker.data import frames
from tastemaker.data.dataset import Dataset
from tastemaker.types import IntArray, Item, Query, User


@dataclass(frozen=True, slots=True)
class Case:
    """One test: a query and an item the user really chose; several in a row may share their query."""

    query: Query
    positive: Item


@dataclass(frozen=True, eq=False)
class Split:
    """A named protocol applied to a dataset.

    ``train``: rows of ``dataset.interactions`` that may be learned from, same columns and order.
    ``valid``, ``test``: one `Case` per evaluated user, or for each of their held-out items; ``query.history`` is all
    that the protocol lets a model see.
    """

    dataset: Dataset
    name: str
    settings: Mapping[str, int | float | str]
    train: pl.DataFrame
    valid: tuple[Case, ...]
    test: tuple[Case, ...]

    @cached_property
    def sequences(self) -> list[IntArray]:
        """Each training user's items, oldest first, one array per user who has any train rows."""
        groups = self.train.group_by("user", maintain_order=True).agg("item")["item"]
        return [np.asarray(s, dtype=np.int32) for s in groups]

    def counts(self) -> dict[str, int]:
        """How much there is of everything; ``train_examples`` are train rows with ``min_history`` items before them."""
        least = int(self.settings.get("min_history", 1))
        return {
            "users": self.dataset.n_users,
            "items": self.dataset.n_items,
            "interactions": self.dataset.n_interactions,
            "train_users": len(self.sequences),
            "train_interactions": self.train.height,
            "train_examples": sum(max(0, len(s) - least) for s in self.sequences),
            "valid_cases": len(self.valid),
            "test_cases": len(self.test),
        }

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the dataset's content, the protocol, its settings, the train rows and every case."""
        digest = hashlib.sha256(self.dataset.hash.encode())
        digest.update(json.dumps([self.name, dict(sorted(self.settings.items()))]).encode())
        frames.update(digest, self.train)
        for cases in (self.valid, self.test):
            listed = ([c.query.user, [int(i) for i in c.query.history], c.query.time, int(c.positive)] for c in cases)
            frames.update_listed(digest, listed)
        return digest.hexdigest()


def case(user: int, items: Sequence[int], times: Sequence[int | None], at: int) -> Case:
    """The case that asks for ``items[at]`` of a user's sequence, everything before it as history."""
    time = times[at]
    query = Query(
        history=tuple(Item(i) for i in items[:at]),
        user=User(user),
        time=None if time is None else float(time),
    )
    return Case(query, Item(items[at]))
