"""A PreferenceSplit -> every way in which its rows show, or train on, what they ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from tastemaker.data.preference import Judgement, PreferenceSplit


@dataclass(frozen=True, slots=True)
class Leak:
    """One kind of leak in one part."""

    kind: str
    """``own-history``, ``later-history``, ``same-time``, ``repeated``, ``trained-on`` or ``trains-later``."""
    part: str
    rows: int
    """How many rows have it."""
    of: int
    """How many rows the part has."""

    def __str__(self) -> str:
        return f"{self.rows:,} of {self.of:,} {self.part} rows {SENTENCES[self.kind]}"


SENTENCES = {
    "own-history": "show their own item in the history.",
    "later-history": "show items in the history that were rated later.",
    "same-time": "show items rated in the same second: what came first rests on the order of the file.",
    "repeated": "ask about a user and an item that an earlier row of the part asks about.",
    "trained-on": "ask about a user and an item that are in train: a model may know the answer.",
    "trains-later": "are later than the first test row: train knows what test rows could not.",
}


def leaks(split: PreferenceSplit) -> tuple[Leak, ...]:
    """What was found, the parts in order; nothing for a split that is clean."""
    times = _Times(split)
    found = [leak for part in ("train", "valid", "test") for leak in _of_part(split, part, times)]
    test = [row.query.time for row in split.test if row.query.time is not None]
    first = min(test, default=float("inf"))
    late = sum(row.query.time is not None and row.query.time > first for row in split.train)
    return (*found, *([Leak("trains-later", "train", late, len(split.train))] if late else []))


def _of_part(split: PreferenceSplit, part: str, times: _Times) -> Iterator[Leak]:
    rows: tuple[Judgement, ...] = getattr(split, part)
    pairs = [(row.query.user, row.item) for row in rows]
    trained = set() if part == "train" else {(row.query.user, row.item) for row in split.train}
    later, same = times.beside(rows)
    counts = {
        "own-history": sum(row.item in row.query.history for row in rows),
        "later-history": later,
        "same-time": same,
        "repeated": len(pairs) - len(set(pairs)),
        "trained-on": sum(pair in trained for pair in pairs),
    }
    yield from (Leak(kind, part, count, len(rows)) for kind, count in counts.items() if count)


class _Times:
    """When each user first rated each item, where that is known."""

    def __init__(self, split: PreferenceSplit) -> None:
        rows = split.dataset.interactions.drop_nulls("time").sort("time", maintain_order=True)
        rows = rows.unique(["user", "item"], keep="first", maintain_order=True)
        self.n_items = split.dataset.n_items
        keys = rows["user"].to_numpy().astype(np.int64) * self.n_items + rows["item"].to_numpy()
        order = np.argsort(keys)
        self.keys, self.times = keys[order], rows["time"].to_numpy()[order]

    def beside(self, rows: Sequence[Judgement]) -> tuple[int, int]:
        """How many rows show anything rated later than themselves, and how many anything of the same second."""
        asked = [row.query for row in rows if row.query.user is not None and row.query.time is not None]
        lengths = [len(query.history) for query in asked]
        if not sum(lengths) or not len(self.keys):
            return 0, 0
        owner = np.repeat(np.arange(len(asked)), lengths)
        items = np.fromiter(chain.from_iterable(query.history for query in asked), dtype=np.int64)
        users = np.array([query.user for query in asked], dtype=np.int64)
        own = np.array([query.time for query in asked])[owner]
        wanted = users[owner] * self.n_items + items
        at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        known = self.keys[at] == wanted
        shown = self.times[at]
        return len(np.unique(owner[known & (shown > own)])), len(np.unique(owner[known & (shown == own)]))
