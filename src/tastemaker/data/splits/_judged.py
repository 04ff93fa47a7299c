"""Interactions in their order, labelled -> rows that show what the user had rated before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.preference import Judgement
from tastemaker.errors import DataError, UsageError
from tastemaker.types import BoolArray, IntArray, Item, Query, User

History = Literal["likes", "all"]
"""``"likes"``: what the user liked earlier in the order of the rows, as CoLLM's prompts show it; rows of one second
see one another in that order. ``"all"``: everything labelled strictly before the row's time, likes and dislikes."""
MOST_SHOWN = 10**9
"""Items of all rows' histories together that are kept without being told to."""
_CELL = 16  # bytes of an item in a history, and of what was said of it
Parts = tuple[tuple[Judgement, ...], tuple[Judgement, ...], tuple[Judgement, ...]]


def ratings(dataset: Dataset) -> pl.Series:
    """``[interaction]``: what it was rated. Raises `UsageError` for a dataset with unrated ones."""
    column = dataset.interactions["rating"]
    if missing := column.null_count():
        raise UsageError(
            f"{dataset.name} has {missing:,} of {len(column):,} interactions without a rating, so nobody knows whether "
            "they were liked; leave them out, or say which column has ratings with columns.rating"
        )
    return column


def liked_at(dataset: Dataset, min_rating: float) -> BoolArray:
    """``[interaction]``: whether it was rated at least so. Raises `UsageError` for a dataset with unrated ones."""
    return (ratings(dataset) >= min_rating).to_numpy()


def judged(
    dataset: Dataset, liked: BoolArray, parts: IntArray, history: History, max_history: int | None = None
) -> Parts:
    """Train, valid and test: the interactions whose number in ``parts`` is 0, 1 and 2, in the dataset's order.

    Rows show the latest ``max_history`` items. Raises `UsageError` where there is no such limit and no room.
    """
    if max_history is None:
        require_room(dataset)
    found: tuple[list[Judgement], ...] = ([], [], [])
    rows = dataset.interactions.with_columns(liked=pl.Series(liked), part=pl.Series(parts))
    groups = rows.group_by("user", maintain_order=True).agg("item", "time", "liked", "part")
    for user, items, times, likes, of in groups.iter_rows():
        most = len(items) if max_history is None else max_history
        shown = _liked_before(items, likes, most) if history == "likes" else _all_before(items, times, likes, most)
        for item, time, like, part, (before, said) in zip(items, times, likes, of, shown, strict=True):
            query = Query(before, (Item(item),), User(user), None if time is None else float(time), likes=said)
            found[part].append(Judgement(query, like))
    train, valid, test = (tuple(part) for part in found)
    return train, valid, test


def checked(parts: Parts, dataset: Dataset) -> Parts:
    """The same. Raises `DataError` if there is nothing to learn from or to test on."""
    for name, rows in (("train", parts[0]), ("test", parts[2])):
        if not rows:
            raise DataError(f"{dataset.name} leaves no {name} rows; change the split's settings")
    return parts


def timed(dataset: Dataset) -> Dataset:
    """The interactions with a known time. Raises `DataError` if there are none."""
    rows = dataset.interactions.filter(pl.col("time").is_not_null())
    if rows.is_empty():
        raise DataError(
            f"no interactions are left in {dataset.name}: a split in time needs times, and none has one; "
            "say which column has them with columns.time"
        )
    lost = dataset.n_interactions - rows.height
    return dataset.with_interactions(rows, f"Left out {lost:,} interactions without a time.") if lost else dataset


def require_room(dataset: Dataset) -> None:
    """Raise `UsageError` if whole histories cannot be kept: all a user's rows together take the square of them."""
    rows = np.bincount(dataset.interactions["user"].to_numpy(), minlength=1).astype(np.int64)
    shown = int((rows * (rows - 1) // 2).sum())
    if shown > MOST_SHOWN:
        raise UsageError(
            f"the rows of {dataset.name} would show up to {shown:,} items of histories, {_CELL * shown / 1e9:.0f} GB; "
            "set max_history, such as to 100"
        )


def _liked_before(
    items: list[int], likes: list[bool], most: int
) -> Iterator[tuple[tuple[Item, ...], tuple[bool, ...]]]:
    seen: list[Item] = []
    for item, like in zip(items, likes, strict=True):
        shown = tuple(seen[max(0, len(seen) - most) :])
        yield shown, (True,) * len(shown)
        if like:
            seen.append(Item(item))


def _all_before(
    items: list[int], times: list[int], likes: list[bool], most: int
) -> Iterator[tuple[tuple[Item, ...], tuple[bool, ...]]]:
    for stop in np.searchsorted(times, times, side="left"):
        shown = slice(max(0, stop - most), stop)
        yield tuple(Item(item) for item in items[shown]), tuple(likes[shown])
