"""The lists a system gives to all users -> how much of the catalogue they reach, and how far from the well-known.

These are numbers of a whole table of lists, not of a case with a right answer: hence no metrics like the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tastemaker.data.split import Split
from tastemaker.recommend.lists import best
from tastemaker.types import FloatArray, IntArray, Query

LENGTH = 10
"""Of the lists that evaluations look at."""
NOBODY = -1
"""Fills a list that has no more items."""


@dataclass(frozen=True, slots=True)
class Breadth:
    """Of one system's lists."""

    k: int
    coverage: float
    """The share of the catalogue that is in anybody's list."""
    novelty: float | None
    """Mean self-information of what is listed, in bits: minus the logarithm of the share of train users who have it.
    None where nothing is listed."""

    def as_metrics(self) -> dict[str, float]:
        """As columns of a table: ``coverage@10``, ``novelty@10``."""
        novelty = {} if self.novelty is None else {f"novelty@{self.k}": self.novelty}
        return {f"coverage@{self.k}": self.coverage, **novelty}


def listed(scores: FloatArray, queries: Sequence[Query], k: int = LENGTH) -> IntArray:
    """``[query, k]``: the best unseen items by scores over the catalogue, ties by number, then `NOBODY`.

    Items of minus infinity are not listed, and where a row is all NaN nothing is.
    """
    allowed = scores > -np.inf
    for row, query in zip(allowed, queries, strict=True):
        row[list(query.history)] = False
    lists = np.full((len(scores), k), NOBODY, dtype=np.int32)
    for row, items in zip(lists, best(scores, allowed, k), strict=True):
        row[: len(items)] = items
    return lists


def of_lists(lists: IntArray, split: Split) -> Breadth:
    """Of ``lists [query, k]``. An item nobody has counts as if half a user had it."""
    items = lists[lists != NOBODY]
    counts = np.bincount(split.train["item"].to_numpy(), minlength=split.dataset.n_items)
    share = np.minimum(np.maximum(counts, 0.5) / max(1, len(split.sequences)), 1.0)
    novelty = float(-np.log2(share)[items].mean()) if len(items) else None
    return Breadth(lists.shape[1], len(np.unique(items)) / split.dataset.n_items, novelty)
