"""chatrec-instructions: two hundred requests whose right answers follow from the catalogue -> how they are followed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import chatrec_shop
from benchmarks.chatrec_results import write
from benchmarks.kept import RUNS, Asked, slug
from tastemaker.testing.instructions import KINDS, Followed, follow, instructions

N = 200
USERS = 40


def measure(name: str, asked: Asked) -> list[Path]:
    """One row for each kind of request and one for all; every request in a dialogue of a known user or a stranger."""
    started = time.monotonic()
    engine = chatrec_shop.engine(RUNS / "chatrec" / "catalogue")
    data = engine.main.recommender.data
    users = [None, *chatrec_shop.drawn_users(data, USERS)]
    requests = instructions(engine.main.catalogue.items, N)
    told = {
        kind: follow(engine, [one for one in requests if one.kind == kind], users)
        for kind in KINDS
        if asked.wants(slug(kind))
    }
    rows = [chatrec_shop.row("all requests", "conversation", **_shares(list(told.values())))]
    rows += [chatrec_shop.row(kind, "kind of request", **_shares([one])) for kind, one in told.items()]
    foreign = sum(one.foreign for one in told.values())
    wrong = [f"{' / '.join(turns)}: {item}" for one in told.values() for turns, item in one.wrong][:5]
    remarks = [
        f"Items outside the catalogue: {foreign}.",
        "Requests are generated from genres, years and titles of the catalogue, in a few wordings of our own; rules "
        "understand them, no language model has a say. Other people's words will do worse.",
        *([f"Wrong, among others: {'; '.join(wrong)}."] if wrong else []),
    ]
    return [
        write(
            name,
            "instructions",
            data,
            claim=name,
            asked=asked,
            n=N,
            rows=tuple(rows),
            metrics=("satisfied", "full"),
            describes="satisfied: shown items that keep to all asked for; full: requests with a full list of those "
            "for which ten right items exist",
            remarks=tuple(remarks),
            seconds=round(time.monotonic() - started, 1),
        )
    ]


def _shares(told: Sequence[Followed]) -> dict[str, tuple[int, int]]:
    return {
        "satisfied": (sum(one.right for one in told), sum(one.shown for one in told)),
        "full": (sum(one.full for one in told), sum(one.possible for one in told)),
    }
