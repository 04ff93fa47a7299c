"""Users' sequences -> one causal prompt each in which every item asks for the next: many answers in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from tastemaker.llm.encoding import Encoded
from tastemaker.types import IntArray


@dataclass(frozen=True, slots=True)
class Timeline:
    """A head, then some of one user's items, oldest first, each ending in its slot."""

    encoded: Encoded
    targets: IntArray
    """``[read]``: the item that came after the one in each slot; with a tail, the last of them once more."""
    past: IntArray
    """Everything the user had chosen by the last slot, also what was too old to be shown."""
    tail: int = 0
    """Positions behind the last slot, the last of which answers once more."""

    @property
    def reads(self) -> list[int]:
        """``[read]``: the positions whose hidden states answer."""
        slots = [position for position, _ in self.encoded.slots]
        return [*slots, len(self.encoded) - 1] if self.tail else slots

    def told(self, tail: Encoded) -> Self:
        """The same with more text at its end, after which the next item is asked for again."""
        if not len(tail):
            return self
        targets = np.append(self.targets, self.targets[-1:])
        return replace(self, encoded=self.encoded + tail, targets=targets, tail=len(tail))


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
                laid = self._laid(sequence[start : end - 1])
                yield Timeline(laid, sequence[start + 1 : end], sequence[: end - 1])
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
