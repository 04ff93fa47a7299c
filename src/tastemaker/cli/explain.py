"""tastemaker explain: why an item is recommended, measured and in one sentence."""

from __future__ import annotations

from typing import Annotated

import typer

from tastemaker.cli._options import Directory, History, Json
from tastemaker.cli._output import say, show_json, show_line, show_table
from tastemaker.cli._progress import reporting

EXAMPLE = "tastemaker explain runs/llara --user 42 --item 50"


def explain(
    directory: Directory,
    item: Annotated[str, typer.Option("--item", metavar="ID", help="What to explain.")],
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="A known user.")] = None,
    history: History = None,
    as_json: Json = False,
) -> None:
    """Leave each item of the history out in turn, and tell which ones the recommendation rests on."""
    from tastemaker.cli._asking import ids_in, require_one
    from tastemaker.recommend import Recommender

    require_one([user] if user else None, history)
    recommender = Recommender.from_pretrained(directory)
    with reporting() as progress:
        found = recommender.explain(
            item, user=user, history=None if history is None else ids_in(history), progress=progress
        )
    if found.degraded:
        say("warning: the language model did not answer; this explains the retriever's score")
    if as_json:
        show_json(found.as_dict())
        return
    show_line(found.sentence)
    show_line(f"Place {found.place} among itself and its {found.rivals} closest rivals.")
    rows = [(one.effect, one.item_id, one.title, ", ".join(one.shared)) for one in found.evidence]
    if found.evidence:
        show_table(("effect", "item", "title", "shared"), rows)
