"""Who asks, and how much -> go on, or how long to wait: a bucket of tokens each."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

REMEMBERED = 10_000
"""Buckets kept; those not used for longest are forgotten, and would be full again."""


class Buckets:
    """A bucket for each name, of ``burst`` tokens, filled again at ``per_minute``. For one thread."""

    def __init__(self, per_minute: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_minute / 60, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, tokens: float = 1.0) -> float:
        """Zero if there were so many tokens; else the seconds until there are, and none is taken."""
        now = self._clock()
        held, then = self._buckets.pop(name, (self._burst, now))
        held = min(self._burst, held + (now - then) * self._per_second)
        wait = max(0.0, (tokens - held) / self._per_second)
        self._buckets[name] = (held if wait else held - tokens, now)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        return wait
