"""Two ways to do the same work, in turns -> how many times as long the other one takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Duel:
    """Seconds of one amount of work in turns: ours, theirs, ours, theirs ..."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """How many times as long theirs takes: the median over the pairs."""
        return statistics.median(b / a for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest ratio of a pair."""
        ratios = [b / a for a, b in zip(self.ours, self.theirs, strict=True)]
        return min(ratios), max(ratios)


def duel(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> Duel:
    """Both once to warm up, then in turns. Each says how long its work took."""
    ours(), theirs()
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return Duel(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


def timed(work: Callable[[], object]) -> float:
    """Seconds of the work."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
