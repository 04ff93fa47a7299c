"""Users' sequences -> one causal prompt each in which every item asks for the next: many answers in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tastemaker.llm.encoding import Encoded
from tastemaker.types import IntArray


@dataclass(frozen=True, slots=True)
class Timeline:
    """A head, then some of one user's items, oldest first, each ending in its slot."""

    encoded: Encoded
    targets: IntArray
    """``[slot]``: the item that came after the one in each slot."""

    @property
    def reads(self) -> list[int]:
        """``[slot]``: the positions whose hidden states answer."""
        return [position for position, _ in self.encoded.slots]


class Packer:
    """Lays items end to end within a budget of positions: ``head`` first, then each item's ``pieces[item]``."""

    def __init__(self, head: Encoded, pieces: Sequence[Encoded], budget: int) -> None:
        self.head, self.pieces, self.budget = head, pieces, budget
        self._sizes = np.array([len(piece) for piece in pieces])

    def latest(self, history: Sequence[int]) -> Encoded:
        """The head and as many of the newest items as fit, at least one if there is any."""
        return self._laid(history[self._start(history, len(history)) :])

    def timelines(self, sequences: Sequence[IntArray], rng: np.random.Generator) -> Iterator[Timeline]:
        """Each sequence cut into timelines that fit, from a random end backwards, so that cuts differ by epoch."""
        per_window = max(1, int((self.budget - len(self.head)) / self._sizes.mean()))
        for sequence in sequences:
            spare = min(per_window // 2, len(sequence) - 2)
            end = len(sequence) - (int(rng.integers(spare + 1)) if spare > 0 and len(sequence) > per_window else 0)
            while end >= 2:
                start = self._start(sequence, end - 1)
                yield Timeline(self._laid(sequence[start : end - 1]), sequence[start + 1 : end])
                end = start + 1

    def _start(self, sequence: Sequence[int] | IntArray, end: int) -> int:
        room, start = self.budget - len(self.head), end
        while start > 0 and (start == end or room >= self._sizes[sequence[start - 1]]):
            start -= 1
            room -= self._sizes[sequence[start]]
        return start

    def _laid(self, items: Sequence[int] | IntArray) -> Encoded:
        ids, slots = list(self.head.ids), list(self.head.slots)
        for item in items:
            piece = self.pieces[item]
            slots += [(len(ids) + position, slot) for position, slot in piece.slots]
            ids += piece.ids
        return Encoded(ids, slots)


def shuffled_ties(items: IntArray, times: Sequence[int | None], rng: np.random.Generator) -> IntArray:
    """The sequence with the order inside equal times drawn anew: what happened at once has no order to learn."""
    if any(time is None for time in times):
        return items
    return items[np.lexsort((rng.random(len(items)), np.asarray(times)))]
