"""Chat-REC's claims about lists: which data, which rows, which settings, and what the paper reports."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from benchmarks import palr_rows
from tastemaker.data import Dataset, Split, load_dataset
from tastemaker.evaluate.result import Published
from tastemaker.evaluate.system import Kind

SEEDS, FRESH = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9)
SAMPLE = 200
N = 20
"""Candidates: the retriever's best."""
ALONE = 1e6
"""A weight beside which the retriever's scores are nothing: the language model alone orders the candidates."""


@dataclass(frozen=True)
class Row:
    """One row: a collaborative model, or Chat-REC over the candidates of LightGCN."""

    name: str
    kind: Kind
    model: str
    """The model judged, or the one whose scores Chat-REC is given."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    chat: Mapping[str, Any] | None = None
    everybody: bool = True
    """Whether it is quick enough for all users and seeds."""
    orders: tuple[str, ...] = ("random", "time")
    note: str = ""


KNN = {"neighbours": 100, "shrinkage": 50}
NOTHING = {"weight": 0.0, "nearness": 0.0}
ZERO_SHOT = {"weight": ALONE, "nearness": 0.0}
DEFAULT = "Chat-REC (default)"
TUNED = "Chat-REC (tuned ranker underneath)"


def table(lightgcn: Mapping[str, Any], ease: Mapping[str, Any]) -> tuple[Row, ...]:
    """All rows, with the settings of the models that are not the same on every dataset."""
    together = {
        "members": ["lightgcn", "ease", "itemknn"],
        "settings": {"lightgcn": dict(lightgcn), "ease": dict(ease), "itemknn": KNN},
    }
    return (
        Row("popularity", "trivial", "popularity"),
        Row("BPR-MF", "collaborative", "bpr-mf", note="stands where the paper has LightFM; no attributes"),
        Row("item-kNN", "collaborative", "itemknn", KNN),
        Row("EASE", "collaborative", "ease", ease),
        Row("LightGCN", "collaborative", "lightgcn", lightgcn,
            note="its 20 best are the candidates of all Chat-REC rows"),
        Row("LightGCN + EASE + item-kNN", "collaborative", "ensemble", together),
        Row("tuned ranker, same candidates", "collaborative", "ensemble", together, chat=NOTHING,
            note="as with a tuned ranker underneath, but without language models"),
        Row("Chat-REC (zero-shot)", "llm", "lightgcn", lightgcn, chat=ZERO_SHOT,
            everybody=False, note="with the top-1 hint"),
        Row("Chat-REC (zero-shot, no hint)", "llm", "lightgcn", lightgcn, chat={**ZERO_SHOT, "hint": False},
            everybody=False),
        Row(DEFAULT, "llm", "lightgcn", lightgcn, chat={},
            note="LightGCN's scores and the language model's, and nearness of texts in meaning"),
        Row(TUNED, "llm", "ensemble", together, chat={}, orders=("random",),
            note="LightGCN's candidates, ordered by LightGCN, EASE and item-kNN together, the language model and "
            "nearness"),
    )  # fmt: skip


ROWS = table({"batch_size": 2048, "epochs": 60}, {"l2": 300})
PUBLISHED = (
    *(
        Published(system=system, metrics={"ndcg@5": ndcg, "precision@5": p, "recall@5": r}, source="Chat-REC's table 2")
        for system, p, r, ndcg in (
            ("Chat-REC (text-davinci-003)", 0.3240, 0.1404, 0.3802),
            ("Chat-REC (gpt-3.5-turbo)", 0.3103, 0.1279, 0.3696),
            ("LightGCN", 0.3030, 0.1455, 0.3425),
            ("LightFM", 0.2830, 0.1410, 0.2846),
        )
    ),
    Published(
        system="Chat-REC without the top-1 hint", metrics={"ndcg@5": 0.3055}, source="its ablation, retold by others"
    ),
)


DATA: Mapping[str, Callable[[], Dataset]] = {"ml-100k": lambda: load_dataset("ml-100k"), "ml-1m": palr_rows.ml1m}


@dataclass(frozen=True)
class Part:
    """What a table is judged on."""

    suffix: str
    order: str
    seeds: Sequence[int]
    sample: int | None
    remark: str
    """How the rule that chooses nearness came to be, and what this table says of it."""
    data: str = "ml-100k"

    def has(self, row: Row) -> bool:
        """Whether the row belongs there, and is quick enough."""
        return (self.sample is not None or row.everybody) and self.order in row.orders

    def whole(self, seed: int) -> Split:
        """That of one seed, with all its questions; the split by time is always the same."""
        return _split(self.data, self.order, seed if self.order == "random" else 0)

    def split(self, seed: int) -> Split:
        """That of one seed, with the questions that are asked."""
        split = self.whole(seed)
        if self.sample is None:
            return split
        users = sorted({case.query.user for case in split.test if case.query.user is not None})
        drawn = {users[i] for i in np.random.default_rng(0).permutation(len(users))[: self.sample]}
        return dataclasses.replace(split, test=tuple(case for case in split.test if case.query.user in drawn))


@cache
def _split(data: str, order: str, seed: int) -> Split:
    found = DATA[data]().split("per-user-ratio", order=order, seed=seed)
    if not isinstance(found, Split):
        raise TypeError(type(found))
    return found


SEEN = (
    "Two standard errors were asked of nearness at first, which left it at 0 nearly everywhere; that was changed after "
    "test figures had been seen, so its lead here is not a clean one: chatrec-ml1m is."
)
FIXED = (
    "The rule was fixed before, at commit 321584c (src/tastemaker/methods/chatrec.py), with no figure of this table in "
    "sight; what came out is published as it is."
)
PARTS = (
    Part("", "random", SEEDS[:1], SAMPLE, SEEN),
    Part("-all", "random", SEEDS, None, SEEN),
    Part("-time", "time", SEEDS, None, SEEN),
)


@dataclass(frozen=True)
class Claim:
    """The tables of one command."""

    rows: Sequence[Row]
    parts: Sequence[Part]
    published: Sequence[Published] = ()


def _once(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Those for which a language model reads no more prompts than the default's weight needs."""
    return tuple(row for row in rows if row.everybody and row.name != TUNED)


CLAIMS = {
    "chatrec-ml100k": Claim(ROWS, PARTS, PUBLISHED),
    "chatrec-ml100k-fresh": Claim(
        _once(ROWS),
        (
            Part("", "random", FRESH, None, f"{FIXED} The splits are new, but users and films are those on which the "
                 "rule was relaxed, and some two thirds of what is asked for was asked for by one of the five earlier "
                 "splits: chatrec-ml1m is the cleaner test."),
        ),
        PUBLISHED,
    ),
    "chatrec-ml1m": Claim(
        _once(table({"batch_size": 16384, "epochs": 60}, {"l2": 1000})),
        (
            Part("", "random", (0, 1), None, f"{FIXED} No test of MovieLens-1M had been read for Chat-REC. The file "
                 "has no absolute times; a history is in its user's order, 5-core. LightGCN takes as many steps as on "
                 "MovieLens-100K, in larger batches; EASE's l2 was chosen on validation of the first seed. "
                 "The prompt shows ages and occupations as the release codes them.",
                 "ml-1m"),
        ),
    ),
}  # fmt: skip
