"""A dialogue as chat clients without ids see it: its text, and a digest by which to find it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

from tastemaker.serve.chat.dialogue import Card, Event, Items, Token


def as_text(event: Event) -> str:
    """What a client that can only show text is sent for an event; tokens and the list, put together, are the reply."""
    match event:
        case Token():
            return event.text
        case Items():
            return "".join(f"\n{number}. {_line(card)}" for number, card in enumerate(event.cards, start=1))
        case _:
            return ""


def thread_of(messages: Iterable[tuple[str, str]], before: str = "") -> str:
    """The digest of roles and texts that follow on those of ``before``; blanks at their ends do not count."""
    for role, text in messages:
        told = json.dumps([before, role, text.strip()])
        before = hashlib.sha256(told.encode()).hexdigest()
    return before


def begun_by(user: str | None) -> str:
    """What the digest of a conversation begins with, so that those of two users are never one."""
    return "" if user is None else thread_of([("as", user)])


def thread_after(before: str, text: str, told: Sequence[Event]) -> str:
    """The digest once ``text`` was answered so: that of what a client sends back with its next message."""
    return thread_of([("user", text), ("assistant", "".join(map(as_text, told)))], before)


def _line(card: Card) -> str:
    title = " ".join(card.title.split())
    return f"{title}: {card.reason}" if card.reason else title
