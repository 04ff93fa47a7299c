"""tastemaker profile: what a user likes, in keywords, each with the items of the history that show it."""

from __future__ import annotations

from typing import Annotated

import typer

from tastemaker.cli._options import Directory, History, Json
from tastemaker.cli._output import say, show_json, show_line, show_table

EXAMPLE = "tastemaker profile runs/palr --user 42"


def profile(
    directory: Directory,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="A known user.")] = None,
    history: History = None,
    n: Annotated[int, typer.Option("-n", min=1, max=20, metavar="N", help="How many keywords, counted.")] = 5,
    written: Annotated[
        bool, typer.Option("--written", help="Let the language model write it (PALR); kept for known users.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Count what the history has more of than the catalogue, or verify what the language model makes of it."""
    from tastemaker.cli._asking import ids_in, require_one
    from tastemaker.errors import UsageError
    from tastemaker.methods._palr_profile import counted_profile
    from tastemaker.recommend import Recommender
    from tastemaker.recommend.saved import locate

    require_one([user] if user else None, history)
    recommender = Recommender.from_pretrained(directory)
    query = recommender.query(user=user, history=None if history is None else ids_in(history))
    if written:
        from tastemaker.methods.palr import PALR  # loads the libraries of language models, which counting needs not

        ranker = recommender.ranker
        if not isinstance(ranker, PALR):
            raise UsageError(
                f"{directory} has no PALR, whose language model could write a profile; leave out --written"
            )
        known = len(ranker.written)
        found = ranker.profile(query, written=True)
        if user is not None and len(ranker.written) > known:
            recommender.save_pretrained(locate(directory))
    else:
        found = counted_profile(recommender.data, query.history, n)
    titles = dict(zip(recommender.data.items["item_id"], recommender.data.titles, strict=True))
    if as_json:
        told = [{**one, "titles": [titles[i] for i in one["evidence"]]} for one in found.as_dict()["keywords"]]
        show_json({"user_id": user, "source": found.source, "keywords": told})
        return
    if not found.keywords:
        missing = "nothing that the language model wrote is shown by" if written else "nothing stands out in"
        say(f"note: {missing} this history" if query.history else "note: there is no history to tell anything from")
        return
    show_line(f"Prefers {', '.join(found.words)}.")
    rows = [(one.word, one.lift, len(one.evidence), _some([titles[i] for i in one.evidence])) for one in found.keywords]
    show_table(("keyword", "lift", "items", "shown by"), rows)


def _some(titles: list[str]) -> str:
    more = f" and {len(titles) - 3} more" if len(titles) > 3 else ""
    return "; ".join(titles[:3]) + more
