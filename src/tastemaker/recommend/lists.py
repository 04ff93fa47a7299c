"""What a ranker proposes -> a list that holds: in the catalogue, allowed, without repeats, full length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tastemaker.types import BoolArray, FloatArray, IntArray, Item, Ranking

_CELLS = 2**18  # scores looked through at once: what stays in a core's own cache


@dataclass(frozen=True, slots=True)
class Answer:
    """One checked list, best first."""

    items: tuple[Item, ...]
    scores: tuple[float | None, ...]
    """None where an item was filled in from the retriever's order: the ranker gave it no score."""
    repairs: int = 0
    """How many of the first places the ranker left empty, or gave to something that cannot be recommended."""
    degraded: bool = False
    """Whether the ranker failed and the retriever answered alone."""


def checked(proposed: Ranking, fallback: Sequence[int] | IntArray, n: int, allowed: BoolArray) -> Answer:
    """The first ``n`` proposals that hold, filled up from ``fallback``, whose items must all be allowed.

    ``allowed`` is ``[item]`` over the catalogue. Whatever a proposal is (no number, out of range, seen, repeated,
    without a finite score), it is either dropped or right. The list is shorter than ``n`` only where ``fallback`` is.
    """
    length = min(n, len(fallback))
    found: dict[int, float | None] = {}
    good_places = 0
    for place, (item, score) in enumerate(zip(proposed.items, proposed.scores, strict=False)):
        if len(found) == length:
            break
        if _holds(item, score, allowed) and item not in found:
            found[int(item)] = float(score)
            good_places += place < length
    for reserve in fallback:
        if len(found) == length:
            break
        found.setdefault(int(reserve), None)
    return Answer(tuple(map(Item, found)), tuple(found.values()), length - good_places)


def ranking(candidates: Sequence[int] | IntArray, scores: Any) -> Ranking:
    """The candidates by score, ties in the order given; empty if the scores are not one finite number for each.

    Candidates whose own score is not finite are left out: NaN says "no answer".
    """
    try:
        values = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError):
        return Ranking((), ())
    if values.shape != (len(candidates),):
        return Ranking((), ())
    order = [i for i in np.argsort(-values, kind="stable").tolist() if np.isfinite(values[i])]
    return Ranking(tuple(Item(int(candidates[i])) for i in order), tuple(float(values[i]) for i in order))


def best(scores: FloatArray, allowed: BoolArray, n: int) -> list[IntArray]:
    """For each row of ``[query, item]``, its ``n`` best allowed items (all, if there are fewer), ties by number.

    Scores are numbers or minus infinity. Only what lies above the n-th place is sorted, a few rows at a time.
    """
    rows = max(1, _CELLS // max(1, scores.shape[1]))
    return [items for part in batches(rows, len(scores)) for items in _best(scores[part], allowed[part], n)]


def batches(size: int, of: int) -> Iterator[slice]:
    """Slices that together cover ``of``."""
    return (slice(start, min(start + size, of)) for start in range(0, of, size))


def _best(scores: FloatArray, allowed: BoolArray, n: int) -> list[IntArray]:
    competing = np.where(allowed, scores, -np.inf)
    place = max(0, competing.shape[1] - n)
    last = np.partition(competing, place, axis=1)[:, place, None]
    chosen, level = competing > last, (competing == last) & allowed
    room = n - np.count_nonzero(chosen, axis=1)
    crowded = np.count_nonzero(level, axis=1) > room
    level[crowded] &= level[crowded].cumsum(axis=1) <= room[crowded, None]
    row, item = np.nonzero(chosen | level)
    item = item[np.lexsort((-competing[row, item], row))].astype(np.int32)
    return np.split(item, np.searchsorted(row, np.arange(1, len(scores))))


def _holds(item: Any, score: Any, allowed: BoolArray) -> bool:
    if not isinstance(item, int | np.integer) or isinstance(item, bool) or not 0 <= item < len(allowed):
        return False
    return bool(allowed[item]) and isinstance(score, float | int | np.floating) and bool(np.isfinite(score))
