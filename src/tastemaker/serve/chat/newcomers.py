"""Items added at run time, whom the recommender does not know -> their places in its lists, by meaning alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tastemaker.serve.chat.catalogue import Catalogue

RECENCY = 0.9
"""Weight of a step further back in a history."""
LATEST = 50
"""Older items say nothing of what somebody would like now."""


class Newcomers:
    """What is in the catalogue beyond the recommender's ``own`` first items."""

    def __init__(self, catalogue: Catalogue, own: int) -> None:
        self._catalogue, self._own = catalogue, own

    def __len__(self) -> int:
        return self._catalogue.items.height - self._own

    def stand_in(self, item_id: str) -> str:
        """The recommender's own item that is nearest in meaning: what it hears of somebody who liked a newcomer."""
        (vector,) = self._catalogue.vectors([item_id])
        ((nearest, _),) = self._catalogue.nearest(vector, 1, own=True)
        return nearest

    def near(self, history: Sequence[str], n: int) -> list[tuple[str, int]]:
        """Newcomers and how many unseen items of the whole catalogue are nearer to the history, the nearest first.

        Only those are told whom fewer than ``n`` precede.
        """
        latest = [item_id for item_id in history if item_id in self._catalogue][-LATEST:]
        if not len(self) or not latest:
            return []
        weights = RECENCY ** np.arange(len(latest))[::-1]
        taste = (weights[:, None] * self._catalogue.vectors(latest)).sum(axis=0) / weights.sum()
        seen = set(history)
        ranked = [other for other, _ in self._catalogue.nearest(taste, n + len(seen)) if other not in seen][:n]
        return [(other, place) for place, other in enumerate(ranked) if self._catalogue.row(other) >= self._own]


def merged(
    rows: Sequence[dict[str, Any]], newcomers: Sequence[tuple[dict[str, Any], int]], n: int
) -> list[dict[str, Any]]:
    """The recommender's list with newcomers in it, each twice as far down as by its place in meaning.

    Knowing what a text says is half as good as knowing who chose it: so they have at most every other place.
    """
    found = list(rows)
    for row, place in newcomers:
        found.insert(2 * place + 1, row)
    return [{**row, "rank": rank} for rank, row in enumerate(found[:n], start=1)]
