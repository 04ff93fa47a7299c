"""tastemaker recommend: the best items for a known user, or for a history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tastemaker.cli._options import Directory, History, Json, User
from tastemaker.cli._output import say, show_json, show_table
from tastemaker.cli._progress import reporting

EXAMPLE = "tastemaker recommend runs/llara --user 42 -n 5"


def recommend(
    directory: Directory,
    user: User = None,
    history: History = None,
    n: Annotated[int, typer.Option("-n", min=1, metavar="N", help="How many.")] = 10,
    candidates: Annotated[
        Path | None, typer.Option("--candidates", metavar="FILE", help="Only these items: ids, one a line.")
    ] = None,
    seen: Annotated[bool, typer.Option("--with-seen", help="Let items of the history in.")] = False,
    as_json: Json = False,
) -> None:
    """Recommend items, best first; all of them in the catalogue, none twice, none seen before."""
    from tastemaker.cli._asking import candidates_in, ids_in, require_one
    from tastemaker.recommend import Recommender

    require_one(user, history)
    recommender = Recommender.from_pretrained(directory)
    with reporting() as progress:
        frame = recommender.recommend(
            users=user or None,
            histories=None if history is None else {"history": ids_in(history)},
            n=n,
            candidates=candidates_in(candidates),
            filter_seen=not seen,
            progress=progress,
        )
    if recommender.degraded:
        say("warning: the language model did not answer; these are the retriever's recommendations")
    if recommender.repairs:
        say(f"note: {recommender.repairs} places were filled in from the retriever's order")
    lengths = dict(frame["user_id"].value_counts().iter_rows())
    if (fewest := min(lengths.get(name, 0) for name in user or ["history"])) < n:
        say(f"note: there were not {n} items to recommend; a list has {fewest}")
    if as_json:
        told = {"degraded": recommender.degraded, "repairs": recommender.repairs}
        show_json({**told, "recommendations": frame.to_dicts()})
        return
    for (name,), rows in frame.group_by("user_id", maintain_order=True):
        title = f"user {name}" if user else ""
        show_table(("rank", "item", "title", "score"), rows.select("rank", "item_id", "title", "score").rows(), title)
