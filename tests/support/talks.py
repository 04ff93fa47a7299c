"""A conversation with an engine, kept from reply to reply."""

from __future__ import annotations

from tastemaker.serve.chat.dialogue import Card, Dialogue, Done, Items, Token
from tastemaker.serve.chat.engine import Engine


class Talk:
    """A conversation, kept: ``talk("older")`` gives the list; ``text``, ``done``, ``cards`` are of that reply."""

    def __init__(self, engine: Engine, **dialogue: object) -> None:
        self.engine, self.dialogue = engine, Dialogue(id="talk", **dialogue)  # type: ignore[arg-type]

    def __call__(self, text: str) -> list[Card]:
        events = list(self.engine.reply(self.dialogue, text))
        assert isinstance(events[-1], Done)
        assert sum(isinstance(event, Items) for event in events) <= 1
        self.done, self.dialogue = events[-1], events[-1].dialogue
        self.text = "".join(event.text for event in events if isinstance(event, Token))
        self.cards = next((event.cards for event in events if isinstance(event, Items)), [])
        assert self.dialogue.turns[-1].text == self.text
        assert Dialogue.model_validate_json(self.dialogue.model_dump_json()) == self.dialogue
        return self.cards

    @property
    def ids(self) -> list[str]:
        return [card.item_id for card in self.cards]
