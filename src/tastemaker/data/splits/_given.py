"""Interactions that somebody has put into parts -> a Split, or a PreferenceSplit, of these parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.preference import Judgement, PreferenceSplit
from tastemaker.data.split import Case, Split
from tastemaker.data.splits._judged import liked_at, require_room
from tastemaker.types import BoolArray, IntArray, Item, Query, User

NAME = "given"
TRAIN, VALID, TEST = PARTS = (0, 1, 2)


class Row(NamedTuple):
    """One interaction of a user."""

    item: Item
    time: float | None
    part: int
    liked: bool


def given_cases(data: Dataset, parts: IntArray) -> Split:
    """The split that asks for each row of valid and test; ``parts``: `TRAIN`, `VALID` or `TEST` of each interaction.

    A case shows what came before it in earlier parts: a valid case what was in train, a test case both.
    """
    valid: list[Case] = []
    test: list[Case] = []
    for user, rows in _by_user(data, parts, np.ones(len(parts), dtype=np.bool_)):
        valid += _cases(user, rows, VALID)
        test += _cases(user, rows, TEST)
    train = data.interactions.filter(pl.Series(parts) == TRAIN)
    return Split(data, NAME, {}, train, tuple(valid), tuple(test))


def given_judgements(data: Dataset, parts: IntArray, min_rating: float, max_history: int | None) -> PreferenceSplit:
    """The split that asks of each row whether it is rated at least ``min_rating``.

    A row shows what its user liked before it in earlier parts, and a train row what they liked in train. Raises
    `UsageError` for interactions without a rating, and where there is neither a ``max_history`` nor room.
    """
    liked = liked_at(data, min_rating)
    if max_history is None:
        require_room(data)
    found: tuple[list[Judgement], ...] = ([], [], [])
    for user, rows in _by_user(data, parts, liked):
        for part in PARTS:
            found[part].extend(_judgements(user, rows, part, max_history or len(rows)))
    train, valid, test = (tuple(rows) for rows in found)
    return PreferenceSplit(data, NAME, {"min_rating": min_rating}, train, valid, test)


def _by_user(data: Dataset, parts: IntArray, liked: BoolArray) -> Iterator[tuple[User, list[Row]]]:
    """Each user's rows, oldest first."""
    rows = data.interactions.with_columns(
        pl.col("time").cast(pl.Float64), part=pl.Series(parts), liked=pl.Series(liked)
    )
    groups = rows.group_by("user", maintain_order=True).agg(Row._fields)
    for user, *columns in groups.iter_rows():
        yield User(user), [Row(*row) for row in zip(*columns, strict=True)]


def _cases(user: User, rows: Sequence[Row], part: int) -> Iterator[Case]:
    """One for each row of the part; those that show the same are right answers to one question, asked at the first."""
    shown: list[Item] = []
    query: Query | None = None
    for row in rows:
        if row.part < part:
            shown.append(row.item)
            query = None
        elif row.part == part:
            query = query or Query(tuple(shown), user=user, time=row.time)
            yield Case(query, row.item)


def _judgements(user: User, rows: Sequence[Row], part: int, most: int) -> Iterator[Judgement]:
    """One for each row of the part, with the latest ``most`` things liked before it."""
    shown: list[Item] = []
    for row in rows:
        if row.part == part:
            before = tuple(shown[-most:])
            query = Query(before, (row.item,), user, row.time, likes=(True,) * len(before))
            yield Judgement(query, row.liked)
        if row.liked and (row.part < part or row.part == part == TRAIN):
            shown.append(row.item)
