"""tastemaker chat: talk to a recommender in the terminal."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tastemaker.cli._options import Directory, Json
from tastemaker.cli._output import say, show_line, show_table
from tastemaker.cli._speaking import Speaker, Url, conversation

if TYPE_CHECKING:
    from tastemaker.serve.chat.dialogue import Dialogue
    from tastemaker.serve.chat.engine import Engine

EXAMPLE = "tastemaker chat runs/llara --user 42"
PROMPT = "> "


def chat(
    directory: Directory,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="A known user; someone new without.")] = None,
    llm: Speaker = None,
    url: Url = None,
    n: Annotated[int, typer.Option("-n", min=1, max=100, metavar="N", help="How many items a list has.")] = 10,
    as_json: Json = False,
) -> None:
    """Say what you feel like, then "older", "not that one", "why the second one?", "undo"; an empty line ends it.

    With --json each line of stdin is a turn, and each event of the replies is one line of JSON on stdout.
    """
    from tastemaker.recommend import Recommender
    from tastemaker.serve.chat.dialogue import Dialogue
    from tastemaker.serve.opening import state_folder

    engine = conversation(Recommender.from_pretrained(directory), state_folder(directory), llm, url, n=n)
    dialogue = Dialogue(id=uuid.uuid4().hex, user_id=user)
    for line in _lines(quiet=as_json):
        dialogue = (_told if as_json else _shown)(engine, dialogue, line)


def _lines(*, quiet: bool) -> Iterator[str]:
    """What is typed, until an empty line or the end."""
    while True:
        if not quiet and sys.stdin.isatty():
            sys.stderr.write(PROMPT)
            sys.stderr.flush()
        line = sys.stdin.readline()
        if not line.strip():
            return
        yield line.strip()


def _shown(engine: Engine, dialogue: Dialogue, line: str) -> Dialogue:
    """The reply for a person: text as it comes, then the list."""
    from tastemaker.serve.chat.dialogue import Done, Items, Token

    cards = []
    for event in engine.reply(dialogue, line):
        if isinstance(event, Token):
            sys.stdout.write(event.text)
            sys.stdout.flush()
        elif isinstance(event, Items):
            cards = event.cards
        elif isinstance(event, Done):
            dialogue = event.dialogue
            if event.degraded:
                say("warning: the language model did not answer; rules and the retriever did")
    show_line("")
    if cards:
        rows = [(place, card.item_id, card.title, card.reason) for place, card in enumerate(cards, start=1)]
        show_table(("", "item", "title", "why"), rows)
    return dialogue


def _told(engine: Engine, dialogue: Dialogue, line: str) -> Dialogue:
    """The reply for a machine: every event as it comes."""
    from tastemaker.serve.chat.dialogue import Done

    for event in engine.reply(dialogue, line):
        show_line(json.dumps(event.model_dump(mode="json"), ensure_ascii=False, allow_nan=False))
        sys.stdout.flush()
        dialogue = event.dialogue if isinstance(event, Done) else dialogue
    return dialogue
