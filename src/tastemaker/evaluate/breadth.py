"""The lists a system gives to all users -> how much of the catalogue they reach, and how far from the well-known.

These are numbers of a whole table of lists, not of a case with a right answer: hence no metrics like the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tastemaker.data.split import Case, Split
from tastemaker.types import FloatArray, IntArray, Query

_BATCH = 128


@dataclass(frozen=True, slots=True)
class Breadth:
    """Of one system's lists."""

    k: int
    coverage: float
    """The share of the catalogue that is in anybody's list."""
    novelty: float
    """Mean self-information of what is listed, in bits: minus the logarithm of the share of train users who have it."""

    def as_metrics(self) -> dict[str, float]:
        """As columns of a table: ``coverage@10``, ``novelty@10``."""
        return {f"coverage@{self.k}": self.coverage, f"novelty@{self.k}": self.novelty}


def breadth(
    split: Split, cases: Sequence[Case], score: Callable[[Sequence[Query]], Sequence[FloatArray]], *, k: int = 10
) -> Breadth:
    """Of the ``k`` best unseen items of each case, by scores over the catalogue; ties go by item number."""
    lists = []
    for start in range(0, len(cases), _BATCH):
        some = cases[start : start + _BATCH]
        for row, case in zip(score([case.query for case in some]), some, strict=True):
            unseen = np.array(row, dtype=np.float64)
            unseen[list(case.query.history)] = -np.inf
            lists.append(np.argsort(-unseen, kind="stable")[:k])
    return of_lists(np.array(lists, dtype=np.int32), split)


def of_lists(lists: IntArray, split: Split) -> Breadth:
    """The same of lists ``[case, k]`` that are there already. An item nobody has counts as if half a user had it."""
    counts = np.bincount(split.train["item"].to_numpy(), minlength=split.dataset.n_items)
    share = np.maximum(counts, 0.5) / max(1, len(split.sequences))
    coverage = len(np.unique(lists)) / split.dataset.n_items
    return Breadth(lists.shape[1], coverage, float(-np.log2(np.minimum(share, 1.0))[lists].mean()))
