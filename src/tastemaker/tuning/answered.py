"""Questions with what was said before each -> windows of one user's events, every question asked where it stands.

A user's history is told once and each question stands behind the part of it that it may see. A question about the
item that is told next is that event itself: its answer is read before it is told. How questions are cut into windows
depends on their own history alone, so who else is asked changes no answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tastemaker.types import Item, Query

ASKED = 512
"""A window asks so many questions at most."""
Member = tuple[int, int, int]
"""A question: its number, the item asked about, and how much of the history it sees."""


class Event(NamedTuple):
    """One item of a window."""

    item: int
    sees: int
    """How many of the window's told events come before it, all of which it sees."""
    told: bool
    """Whether later events see it."""
    liked: bool
    """What was said of it, where it is told."""
    question: int
    """The number of the question it answers, -1 for none."""


@dataclass(frozen=True, slots=True)
class Window:
    """Events of one user, what is told in its order, each question behind what it sees."""

    user: int
    """-1 for nobody known."""
    events: tuple[Event, ...]

    @property
    def questions(self) -> list[int]:
        """The numbers of the questions asked in it, in order."""
        return [event.question for event in self.events if event.question >= 0]


@dataclass(slots=True)
class _Chain:
    """A history and the questions that see parts of it from its beginning."""

    user: int
    history: tuple[Item, ...]
    likes: tuple[bool, ...]
    members: list[Member] = field(default_factory=list)

    def holds(self, query: Query, likes: tuple[bool, ...]) -> bool:
        """Whether the query's history is this one, from the beginning and as far as it goes."""
        n = len(query.history)
        return query.history == self.history[:n] and likes == self.likes[:n]


def windows(queries: Sequence[Query], block: int, *, shift: int = 0) -> Iterator[Window]:
    """The windows in which all candidates of all queries are asked; questions are numbered in the queries' order.

    Each question sees the last ``block`` to twice ``block`` things said before it. ``shift`` moves the cuts, so that
    training does not always cut at the same places.
    """
    for chain in _chains(queries):
        yield from _cut(chain, block, shift)


def said(query: Query) -> tuple[bool, ...]:
    """What was said of each item of the history; what nobody judged was chosen, and counts as liked."""
    return query.likes or (True,) * len(query.history)


def _chains(queries: Sequence[Query]) -> Iterator[_Chain]:
    """The queries of each user, put together as far as one history holds the others."""
    first = np.cumsum([0, *(len(query.candidates) for query in queries)])
    groups: dict[int, list[int]] = {}
    for number, query in enumerate(queries):
        groups.setdefault(-1 - number if query.user is None else int(query.user), []).append(number)
    for user, numbers in groups.items():
        chain: _Chain | None = None
        for number in sorted(numbers, key=lambda n: -len(queries[n].history)):
            query, likes = queries[number], said(queries[number])
            if chain is None or not chain.holds(query, likes):
                if chain is not None:
                    yield chain
                chain = _Chain(max(user, -1), query.history, likes)
            asked = enumerate(query.candidates, start=int(first[number]))
            chain.members += [(question, int(item), len(query.history)) for question, item in asked]
        if chain is not None:
            yield chain


def _cut(chain: _Chain, block: int, shift: int) -> Iterator[Window]:
    blocks: dict[int, list[Member]] = {}
    for member in chain.members:
        blocks.setdefault((member[2] + shift) // block, []).append(member)
    for number, members in sorted(blocks.items()):
        members.sort(key=lambda member: member[2])
        for first in range(0, len(members), ASKED):
            yield _window(chain, members[first : first + ASKED], max(0, (number - 1) * block - shift))


def _window(chain: _Chain, members: Sequence[Member], start: int) -> Window:
    asked: dict[int, list[Member]] = {}
    for member in members:
        asked.setdefault(member[2], []).append(member)
    last, events = max(asked), list[Event]()
    for place in range(start, last + 1):
        there = asked.get(place, [])
        told = chain.history[place] if place < min(last, len(chain.history)) else None
        own = next((member for member in there if member[1] == told), None)
        events += [Event(item, place - start, False, False, n) for n, item, _ in there if own is None or n != own[0]]
        if told is not None:
            events.append(Event(int(told), place - start, True, chain.likes[place], -1 if own is None else own[0]))
    return Window(chain.user, tuple(events))
