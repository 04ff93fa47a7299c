"""Dialogues -> rows of their owners, who alone can see them; the least used are forgotten."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, RowMapping, delete, insert, select, update

from tastemaker.prompts.clean import clean
from tastemaker.serve.chat.dialogue import Dialogue
from tastemaker.serve.store.database import Database
from tastemaker.serve.store.feedback import Verdict, absorb, forget, verdicts, with_verdicts
from tastemaker.serve.store.tables import dialogues

_TITLE = 60
_DAY = 86_400_000


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list of dialogues; times in milliseconds since 1970."""

    id: str
    title: str
    made: int
    used: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A dialogue as it was read, or a new one that is not in the database yet."""

    owner: str
    dialogue: Dialogue
    """With the feedback that came since it was saved."""
    version: int = 0
    thread: str = ""
    """Digest of its messages, as `tastemaker.serve.threads` makes it."""
    pending: dict[str, Verdict] = field(default_factory=dict)
    read: int = field(default_factory=lambda: _now())
    """When: what is said of its user from then on is not in it yet."""
    asked: str = ""
    """Digest of its messages and the one to be answered, by which to find it if that answer is asked for again."""


class Dialogues:
    """The dialogues of every owner: at most ``most`` each, for ``days`` after they were used."""

    def __init__(self, database: Database, *, most: int, days: float) -> None:
        self._database, self._most, self._age = database, most, int(days * _DAY)

    def new(self, owner: str, *, user_id: str | None = None, history: Sequence[str] = (), domain: str = "") -> Kept:
        """One with an id that cannot be guessed; it is kept from its first save on."""
        dialogue = Dialogue(id=secrets.token_hex(16), user_id=user_id, history=list(history), domain=domain)
        return Kept(owner, dialogue, thread=dialogue.id)  # found by its id alone, unless the caller says otherwise

    def get(self, owner: str, id: str) -> Kept | None:
        """The owner's dialogue of that id."""
        return self._one(owner, dialogues.c.id == id)

    def of_thread(self, owner: str, thread: str) -> Kept | None:
        """The owner's latest dialogue that holds exactly those messages."""
        return self._one(owner, dialogues.c.thread == thread)

    def asked_again(self, owner: str, asked: str) -> Kept | None:
        """The owner's dialogue whose last answer is to those messages, as it was before that answer.

        Where several have the same, whose it is cannot be told: then a copy, so that nobody loses what was said since.
        """
        mine = select(dialogues).filter_by(owner=owner, asked=asked).where(dialogues.c.used >= self._oldest())
        with self._database.engine.begin() as connection:
            rows = connection.execute(mine.order_by(dialogues.c.used.desc()).limit(2)).mappings().all()
            kept = self._kept(connection, rows[0], rows[0]["earlier"]) if rows else None
        if kept is None or len(rows) == 1:
            return kept
        return replace(kept, version=0, dialogue=kept.dialogue.model_copy(update={"id": secrets.token_hex(16)}))

    def list(self, owner: str, n: int) -> list[Listed]:
        """The owner's, latest used first."""
        columns = (dialogues.c.id, dialogues.c.title, dialogues.c.made, dialogues.c.used)
        mine = select(*columns).filter_by(owner=owner).where(dialogues.c.used >= self._oldest())
        with self._database.engine.begin() as connection:
            rows = connection.execute(mine.order_by(dialogues.c.used.desc(), dialogues.c.id).limit(n))
            return [Listed(*row) for row in rows]

    def save(self, kept: Kept, dialogue: Dialogue, thread: str) -> bool:
        """Whether it was saved: not if it was deleted, or saved by somebody else, since ``kept`` was read."""
        now = _now()
        values = {
            "state": dialogue.model_dump_json(),
            "title": clean(next((turn.text for turn in dialogue.turns if turn.role == "user"), ""))[:_TITLE],
            "version": kept.version + 1,
            "thread": thread,
            "asked": kept.asked,
            "earlier": kept.dialogue.model_dump_json() if kept.asked else "",
            "used": kept.read,
        }
        with self._database.engine.begin() as connection:
            if kept.version == 0:
                key = {"id": dialogue.id, "owner": kept.owner, "made": now}
                connection.execute(insert(dialogues).values(**values, **key))
                self._trim(connection, kept.owner)
                return True
            same = update(dialogues).filter_by(id=dialogue.id, owner=kept.owner, version=kept.version)
            if not connection.execute(same.values(values)).rowcount:
                return False
            absorb(connection, kept.owner, f"dialogue:{dialogue.id}", kept.pending)
            return True

    def delete(self, owner: str, id: str | None = None) -> int:
        """How many were deleted: that one, or all of the owner's."""
        mine = select(dialogues.c.id).filter_by(owner=owner)
        with self._database.engine.begin() as connection:
            found = connection.execute(mine if id is None else mine.filter_by(id=id))
            return self._remove(connection, owner, [row.id for row in found])

    def _one(self, owner: str, which: ColumnElement[bool]) -> Kept | None:
        mine = select(dialogues).filter_by(owner=owner).where(which, dialogues.c.used >= self._oldest())
        with self._database.engine.begin() as connection:
            row = connection.execute(mine.order_by(dialogues.c.used.desc()).limit(1)).mappings().first()
            return None if row is None else self._kept(connection, row, row["state"])

    def _kept(self, connection: Connection, row: RowMapping, state: str) -> Kept | None:
        try:
            dialogue = Dialogue.model_validate_json(state)
        except ValidationError:  # of a version whose dialogues were others: as good as forgotten
            return None
        read = _now()
        about = f"user:{dialogue.user_id}"
        if dialogue.user_id is not None:
            dialogue = with_verdicts(dialogue, verdicts(connection, row["owner"], about, since=row["used"]))
        pending = verdicts(connection, row["owner"], f"dialogue:{row['id']}", pending=True)
        return Kept(row["owner"], with_verdicts(dialogue, pending), row["version"], row["thread"], pending, read)

    def _trim(self, connection: Connection, owner: str) -> None:
        mine = select(dialogues.c.id).filter_by(owner=owner)
        beyond = mine.order_by(dialogues.c.used.desc(), dialogues.c.version, dialogues.c.id).offset(self._most)
        ids = [row.id for row in connection.execute(beyond.limit(self._most))]
        old = select(dialogues.c.id).filter_by(owner=owner).where(dialogues.c.used < self._oldest())
        self._remove(connection, owner, [*ids, *(row.id for row in connection.execute(old))])

    def _remove(self, connection: Connection, owner: str, ids: Sequence[str]) -> int:
        if not ids:
            return 0
        forget(connection, owner, [f"dialogue:{id}" for id in ids])
        return connection.execute(delete(dialogues).where(dialogues.c.id.in_(ids))).rowcount

    def _oldest(self) -> int:
        return _now() - self._age


def _now() -> int:
    return time.time_ns() // 1_000_000
