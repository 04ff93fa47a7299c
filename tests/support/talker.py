"""A conversation that follows a script: for the service's tests, which are not about what is said."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tastemaker.data.dataset import Dataset
from tastemaker.errors import UsageError
from tastemaker.serve.chat.dialogue import Card, Dialogue, Done, Event, Items, Token, Trace, Turn

Cancelled = Callable[[], bool]
WORDS = ("Here ", "you ", "are.")


class Talker:
    """Recommends the catalogue's first items that are neither disliked nor liked, in three words.

    ``gate`` holds every reply, after its first word, until it is set; ``fails`` is raised there. ``words`` makes
    longer replies. ``said`` keeps the words that left, ``dialogues`` what was asked.
    """

    def __init__(self, data: Dataset, *, n: int = 3) -> None:
        self._titles = dict(zip(data.items["item_id"], data.titles, strict=True))
        self._n = n
        self.words: Sequence[str] = WORDS
        self.gate: threading.Event | None = None
        self.fails: Exception | None = None
        self.begun = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self.said: list[str] = []
        self.dialogues: list[Dialogue] = []

    def reply(self, dialogue: Dialogue, text: str, *, cancelled: Cancelled) -> Iterator[Event]:
        self.dialogues.append(dialogue)
        self.begun.release()
        try:
            yield from self._reply(dialogue, text, cancelled)
        finally:
            self.ended.release()

    def _reply(self, dialogue: Dialogue, text: str, cancelled: Cancelled) -> Iterator[Event]:
        for word in self.words:
            self.said.append(word)
            yield Token(text=word)
            while self.gate is not None and not self.gate.wait(0.01):
                if cancelled():
                    return
            if self.fails is not None:
                raise self.fails
            if cancelled():
                return
        judged = {*dialogue.likes, *dialogue.dislikes}
        ids = [item for item in self._titles if item not in judged][: self._n]
        yield Items(cards=self.cards(ids), filters=dialogue.filters)
        turns = [Turn(role="user", text=text), Turn(role="assistant", text="".join(self.words), items=ids)]
        after = dialogue.model_copy(update={"turns": [*dialogue.turns, *turns], "shown": ids})
        yield Done(dialogue=after, trace=Trace(intent="recommend", prompt=f"asked: {text}"))

    def cards(self, ids: Sequence[str]) -> list[Card]:
        for item in ids:
            if item not in self._titles:
                raise UsageError(f"there is no item {item!r}")
        return [Card(item_id=item, title=self._titles[item]) for item in ids]

    def search(self, text: str, n: int) -> list[Card]:
        return self.cards([item for item, title in self._titles.items() if text.lower() in title.lower()][:n])

    def add_items(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if row["item_id"] in self._titles:
                raise UsageError("one of these items is there already")
        self._titles |= {row["item_id"]: row["title"] for row in rows}

    def stand_in(self, item_id: str) -> str | None:
        return None

    def newcomers(self, history: Sequence[str], n: int) -> list[tuple[Card, int]]:
        return []
