"""tastemaker recommend: the best items for a known user, or for a history."""

from __future__ import annotations

import warnings
from typing import Annotated

import typer

from tastemaker.cli._options import Candidates, Directory, History, Json, Unknown, User, WithSeen
from tastemaker.cli._output import say, show_json, show_table
from tastemaker.cli._progress import reporting

EXAMPLE = "tastemaker recommend runs/llara --user 42 -n 5"


def recommend(
    directory: Directory,
    user: User = None,
    history: History = None,
    n: Annotated[int, typer.Option("-n", min=1, metavar="N", help="How many.")] = 10,
    candidates: Candidates = None,
    seen: WithSeen = False,
    unknown: Unknown = "error",
    as_json: Json = False,
) -> None:
    """Recommend items, best first; all of them in the catalogue, none twice, none seen before."""
    from tastemaker.cli._asking import candidates_in, ids_in, policy, require_one
    from tastemaker.recommend import Recommender
    from tastemaker.recommend.asked import UnknownIdWarning, left_out

    require_one(user, history)
    skips = policy(unknown)
    recommender = Recommender.from_pretrained(directory)
    with reporting() as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownIdWarning)  # which is said below
        frame = recommender.recommend(
            users=user or None,
            histories=None if history is None else {"history": ids_in(history)},
            n=n,
            candidates=candidates_in(candidates),
            filter_seen=not seen,
            unknown=skips,
            progress=progress,
        )
    if recommender.skipped:
        say(f"warning: {left_out(recommender.skipped)}")
    if recommender.degraded:
        say("warning: the language model did not answer; these are the retriever's recommendations")
    if recommender.repairs:
        say(f"note: {recommender.repairs} places were filled in from the retriever's order")
    lengths = dict(frame["user_id"].value_counts().iter_rows())
    asked = [name for name in user or ["history"] if name not in recommender.skipped]
    if (fewest := min((lengths.get(name, 0) for name in asked), default=n)) < n:
        say(f"note: there were not {n} items to recommend; a list has {fewest}")
    if as_json:
        told = {"degraded": recommender.degraded, "repairs": recommender.repairs, "skipped": recommender.skipped}
        show_json({**told, "recommendations": frame.to_dicts()})
        return
    for (name,), rows in frame.group_by("user_id", maintain_order=True):
        title = f"user {name}" if user else ""
        show_table(("rank", "item", "title", "score"), rows.select("rank", "item_id", "title", "score").rows(), title)
