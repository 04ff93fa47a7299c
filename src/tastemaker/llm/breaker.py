"""Failures and successes of a server -> whether to ask it again, so that nobody waits for the dead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tastemaker.errors import LanguageModelError

FAILURES = 5
SECONDS = 10.0
TRY_SECONDS = 60.0
"""How long a try is waited for before the next one; normally its end is told much sooner."""


class Breaker:
    """Opens after ``failures`` in a row; ``seconds`` later one question may try again, and an answer closes it.

    There is one try at a time: where the server stalls, a second one would bind another of the threads that answer.

    One stall opens it at once: it cost whoever asked all their patience, and would cost everybody else the same.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int = FAILURES,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._limit, self._seconds, self._clock = name, failures, seconds, clock
        self._lock, self._failures, self._next = threading.Lock(), 0, 0.0

    @property
    def open(self) -> bool:
        """Whether questions are turned away."""
        return self._failures >= self._limit

    def require_closed(self) -> None:
        """Nothing, if a question may be asked; else `LanguageModelError`, at once."""
        with self._lock:
            if not self.open:
                return
            now = self._clock()
            if now < self._next:
                left = f"left alone for {self._seconds:.0f} seconds"
                raise LanguageModelError(f"{self._name} failed or stalled and is {left}")
            self._next = now + TRY_SECONDS  # this one may try, others wait for what becomes of it

    def failed(self, *, stalled: bool = False) -> None:
        """Note a failure, or that nothing came at all."""
        with self._lock:
            self._failures = max(self._failures + 1, self._limit if stalled else 0)
            self._next = self._clock() + self._seconds

    def succeeded(self) -> None:
        """Note an answer."""
        with self._lock:
            self._failures = 0
