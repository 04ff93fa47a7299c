"""The words all layers share: outside ids, inside numbers, queries, rankings and progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType, Protocol

import numpy as np
import numpy.typing as npt

UserId = NewType("UserId", str)
"""A user as the outside world names it."""
ItemId = NewType("ItemId", str)
"""An item as the outside world names it."""
User = NewType("User", int)
"""A user's row number inside one `Dataset`: 0 .. n_users - 1."""
Item = NewType("Item", int)
"""An item's row number inside one `Dataset`: 0 .. n_items - 1."""

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Query:
    """One question: what will this user choose next?"""

    history: tuple[Item, ...]
    """Items the user has interacted with, oldest first."""
    candidates: tuple[Item, ...] = ()
    """Items to choose from, in the order shown; empty means the whole catalogue."""
    user: User | None = None
    """None for someone the dataset has never seen."""
    time: float | None = None
    """Seconds since 1970, when known."""
    text: str | None = None
    """What the user said, if anything. Foreign text: it enters prompts only as `Quoted`."""
    likes: tuple[bool, ...] = ()
    """Whether the user liked each item of the history; empty where nobody said so, as for things merely chosen."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Items with their scores, best first."""

    items: tuple[Item, ...]
    scores: tuple[float, ...]


class Progress(Protocol):
    """What long work reports to: the command line draws bars from it, the library stays silent."""

    def __call__(self, task: str, done: float, total: float | None = None, note: str = "") -> None:
        """``task`` is at ``done`` of ``total``; the task ends when the two are equal."""


def quiet(task: str, done: float, total: float | None = None, note: str = "") -> None:
    """The `Progress` that says nothing."""
