"""What the service asks of whatever talks: replies as events, cards, search, and items added at run time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from tastemaker.serve.chat.dialogue import Card, Dialogue, Event

Cancelled = Callable[[], bool]
"""Whether nobody waits for the answer any more; long work asks now and then."""


class Conversation(Protocol):
    """A conversation engine. Every method may block, and is called from several threads at once."""

    def reply(self, dialogue: Dialogue, text: str, *, cancelled: Cancelled) -> Iterator[Event]:
        """The reply to ``text``: tokens and at most one list, then `Done`. May raise any `TastemakerError`."""

    def cards(self, ids: Sequence[str]) -> list[Card]:
        """The items of these ids in their order. Raises `UsageError` for an id that is not known."""

    def search(self, text: str, n: int) -> list[Card]:
        """At most ``n`` items whose titles go with what has been typed so far, best first."""

    def add_items(self, rows: list[dict[str, Any]]) -> None:
        """Make new items (``item_id``, ``title`` and attributes) part of the catalogue, at once."""

    def stand_in(self, item_id: str) -> str | None:
        """For an item added at run time, the recommender's own that is most like it; None for an item of its own.

        Raises `UsageError` for an id that is not known.
        """

    def newcomers(self, history: Sequence[str], n: int) -> list[tuple[Card, int]]:
        """Items added at run time that are near the history in meaning, and how many unseen items are nearer.

        Only those whom fewer than ``n`` precede.
        """
