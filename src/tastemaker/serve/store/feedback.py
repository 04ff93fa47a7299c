"""Likes and dislikes -> what a user or a dialogue is known to like, the latest word on each item alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

from sqlalchemy import Connection, delete, insert, select, update

from tastemaker.serve.chat.dialogue import Dialogue, Wants
from tastemaker.serve.store.database import Database
from tastemaker.serve.store.tables import feedback

Verdict = Literal["like", "dislike", "none"]
MOST = 500
"""The latest verdicts about one user or dialogue that count."""


class Feedback:
    """Verdicts on items, apart for each owner."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, owner: str, about: str, item_id: str, verdict: Verdict) -> None:
        """``about`` is ``user:ID`` or ``dialogue:ID``; none takes an earlier verdict back."""
        key = {"owner": owner, "about": about, "item_id": item_id}
        with self._database.engine.begin() as connection:
            connection.execute(delete(feedback).filter_by(**key))
            row = {**key, "verdict": verdict, "at": time.time_ns() // 1_000_000, "absorbed": 0}
            connection.execute(insert(feedback).values(row))

    def of_user(self, owner: str, user_id: str) -> dict[str, Verdict]:
        """By item, oldest first."""
        with self._database.engine.begin() as connection:
            return verdicts(connection, owner, f"user:{user_id}")


def verdicts(
    connection: Connection, owner: str, about: str, *, pending: bool = False, since: int = 0
) -> dict[str, Verdict]:
    """By item, oldest first; with ``pending``, those that the dialogue's state does not have yet."""
    found = select(feedback.c.item_id, feedback.c.verdict).filter_by(owner=owner, about=about)
    found = found.filter_by(absorbed=0) if pending else found.where(feedback.c.at >= since)
    newest = found.order_by(feedback.c.at.desc(), feedback.c.item_id).limit(MOST)
    return {row.item_id: row.verdict for row in reversed(connection.execute(newest).all())}


def absorb(connection: Connection, owner: str, about: str, taken: dict[str, Verdict]) -> None:
    """Mark as part of the dialogue's state what was ``taken``, unless it was judged anew meanwhile."""
    for item_id, verdict in taken.items():
        same = update(feedback).filter_by(owner=owner, about=about, item_id=item_id, verdict=verdict)
        connection.execute(same.values(absorbed=1))


def forget(connection: Connection, owner: str, abouts: list[str]) -> None:
    """Delete the verdicts about these."""
    connection.execute(delete(feedback).filter_by(owner=owner).where(feedback.c.about.in_(abouts)))


def with_verdicts(dialogue: Dialogue, found: Mapping[str, Verdict]) -> Dialogue:
    """The dialogue with likes and dislikes as the verdicts have them, now and wherever undo goes back to."""
    past = [one.model_copy(update=_judged(one, found)) for one in dialogue.past]
    return dialogue.model_copy(update={**_judged(dialogue, found), "past": past})


def _judged(wants: Wants, found: Mapping[str, Verdict]) -> dict[str, list[str]]:
    kept = {
        "like": [item for item in wants.likes if item not in found],
        "dislike": [item for item in wants.dislikes if item not in found],
        "none": [],
    }
    for item_id, verdict in found.items():
        kept[verdict].append(item_id)
    return {"likes": kept["like"], "dislikes": kept["dislike"]}
