"""Progress of the library -> bars on a terminal, else a line for each long task that ends; always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tastemaker import processes

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from tastemaker.types import Progress

LONG = 2.0
"""Seconds from which on a finished task is worth a line."""


@contextmanager
def reporting() -> Iterator[Progress]:
    """What to give to whatever takes a ``progress`` inside the block; of several processes the main one reports."""
    if processes.index():
        from tastemaker.types import quiet

        yield quiet
        return
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[amount]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        yield _Bars(bars)


class _Bars:
    """A bar for each task; one that was over at once leaves no trace."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.tasks: dict[str, tuple[TaskID, float]] = {}

    def __call__(self, task: str, done: float, total: float | None = None, note: str = "") -> None:
        if task not in self.tasks:
            self.tasks[task] = self.bars.add_task(task, total=total, amount="", note=""), time.monotonic()
        number, started = self.tasks[task]
        unit = note == "bytes"
        amount = _amount(done, total, unit)
        self.bars.update(number, completed=done, total=total, amount=amount, note="" if unit else note)
        if done == total:
            del self.tasks[task]
            if time.monotonic() - started < LONG:
                self.bars.remove_task(number)


class _Lines:
    """A line when a task ends that took a while."""

    def __init__(self) -> None:
        self.started = dict[str, float]()

    def __call__(self, task: str, done: float, total: float | None = None, note: str = "") -> None:
        started = self.started.setdefault(task, time.monotonic())
        if done == total:
            del self.started[task]
            if (took := time.monotonic() - started) >= LONG:
                amount = _amount(done, total, note == "bytes")
                told = f"; {note}" if note and note != "bytes" else ""
                sys.stderr.write(f"{task}: {amount} in {took:,.0f} s{told}\n")
                sys.stderr.flush()


def _amount(done: float, total: float | None, bytes_: bool) -> str:
    if bytes_:
        return f"{done / 1e6:,.1f} MB" if total is None else f"{done / 1e6:,.1f}/{total / 1e6:,.1f} MB"
    return f"{done:,.0f}" if total is None else f"{done:,.0f}/{total:,.0f}"
