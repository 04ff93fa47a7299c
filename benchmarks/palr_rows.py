"""PALR's claims: which data, which rows, which settings, and what the paper reports."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.kept import slug
from tastemaker.data import Dataset, Split, load_dataset
from tastemaker.evaluate.result import Published
from tastemaker.evaluate.system import Kind
from tastemaker.methods._palr_tasks import chosen_users
from tastemaker.types import IntArray


@dataclass(frozen=True)
class Row:
    """One row: a collaborative model, the re-ranker without LLM, text vectors, or PALR with these settings."""

    name: str
    kind: Kind
    model: str = ""
    """The collaborative model judged, or the second one of a fusion; the claim's retriever where none is named."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    palr: Mapping[str, Any] | None = None
    other: str = ""
    """``lightgbm``, ``profile``, ``text``, or ``untrained`` for PALR over a language model that has read nothing."""
    everybody: bool = True
    """Whether it is quick enough to be judged on all users."""
    seed: int = 0
    note: str = ""

    @property
    def id(self) -> str:
        """How the command line and the directory name it."""
        return slug(self.name)


@dataclass(frozen=True)
class Retriever:
    """A collaborative model, or several that have a say in turn."""

    members: tuple[str, ...]
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By member, where the defaults will not do."""

    @property
    def name(self) -> str:
        """How tables name it."""
        return " + ".join(NAMES[member] for member in self.members)


NAMES = {
    "popularity": "popularity", "itemknn": "item-kNN", "ease": "EASE", "bert4rec": "BERT4Rec", "sasrec": "SASRec",
    "gru4rec": "GRU4Rec", "lightgcn": "LightGCN",
}  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """What the files under results/ rest on."""

    split: Callable[[], Split]
    retrievers: tuple[Retriever, ...]
    """Whose lists might be re-ranked: the best of them on validation is (`benchmarks.palr_retrievers`)."""
    rows: tuple[Row, ...]
    focus: str
    palr: Mapping[str, Any]
    """Settings of all its PALR rows."""
    published: tuple[Published, ...] = ()
    chosen: str = ""
    """Which claim's validation the retriever was chosen on; empty where there is one only."""
    inductive: bool = False
    """Whether a fifth of the users was tuned on, so that the others have a table of their own."""
    unseen: bool = False
    """Whether the withheld items are ranked against one another instead of the whole catalogue."""


def ml1m() -> Dataset:
    """The 5-core in each user's order."""
    data = load_dataset("ml-1m", _released("ml-1m") / "ratings_5core_chronological.parquet")
    return counted(data.k_core(5), 6040, 3416, 999_611)


def beauty() -> Dataset:
    """Amazon Beauty of 2014, 5-core, each user's order as time."""
    folder = _released("amazon-beauty")
    rows = pl.read_csv(folder / "sequences.csv", schema_overrides={"user": pl.String, "asin": pl.String})
    items = pl.read_csv(folder / "items.csv", schema_overrides={"asin": pl.String}).rename({"asin": "item_id"})
    named = rows.rename({"user": "user_id", "asin": "item_id", "order": "time"})
    data = Dataset.from_frames(named, items.with_columns(pl.col("title").fill_null("")), name="amazon-beauty")
    return counted(data, 22_363, 12_101, 198_502)


def _released(name: str) -> Path:
    if "TASTEMAKER_DATA" not in os.environ:
        raise SystemExit(f"{name} is not fetched: set TASTEMAKER_DATA to the folder that has {name}/")
    return Path(os.environ["TASTEMAKER_DATA"]) / name


def counted(data: Dataset, users: int, items: int, interactions: int) -> Dataset:
    """The dataset, if it is the one the paper counts in its table 1."""
    found = data.n_users, data.n_items, data.n_interactions
    if found != (users, items, interactions):
        raise SystemExit(f"{data.name} has {found} users, items and interactions, not {(users, items, interactions)}")
    return data


def untouched(split: Split) -> IntArray:
    """The numbers of the test cases of users who were not tuned on, when a fifth of them was."""
    users = split.train["user"].unique(maintain_order=True).to_numpy()
    tuned = set(users[chosen_users(len(users), 0.2, 0)].tolist())
    return np.array([at for at, case in enumerate(split.test) if case.query.user not in tuned], dtype=np.int32)


PUBLISHED = {
    "ml1m": {
        "PALR v2": (0.2110, 0.1276), "PALR v1": (0.1216, 0.0569), "SASRec": (0.1978, 0.1192),
        "Caser": (0.1338, 0.0614), "GRU4Rec": (0.1017, 0.0468), "BPR-MF": (0.0354, 0.0158), "NCF": (0.0313, 0.0143),
    },
    "beauty": {
        "PALR v2": (0.0721, 0.0446), "PALR v1": (0.0181, 0.0101), "SASRec": (0.0617, 0.0283),
        "Caser": (0.0282, 0.0136), "GRU4Rec": (0.0194, 0.0091), "BPR-MF": (0.0299, 0.0122), "NCF": (0.0293, 0.0130),
    },
}  # fmt: skip


def published(name: str) -> tuple[Published, ...]:
    """The paper's table 2."""
    return tuple(
        Published(
            system=f"{system} (PALR's table 2)", metrics={"hr@10": hr, "ndcg@10": ndcg}, source="arXiv 2305.07622"
        )
        for system, (hr, ndcg) in PUBLISHED[name].items()
    )


MATCHED = Row(
    "retriever and profile, no LLM", "collaborative", other="profile", note="PALR's fusion, its language model silent"
)


def second(**settings: Any) -> Row:
    """PALR's fusion with a SASRec of another size than the retriever's instead of a language model."""
    note = "PALR's fusion, a SASRec of another size speaking instead of a language model"
    return Row("a second SASRec in the LLM's place", "collaborative", "sasrec", settings, other="profile", note=note)


DEFAULT = Row("PALR (default)", "llm", palr={}, note="timeline, profile and retriever, weights chosen on validation")


UNTRAINED = Row(
    "PALR, layers not pretrained",
    "collaborative",
    palr={},
    other="untrained",
    note="the same network, tuning and fusion; weights as they are drawn before a language model reads anything",
)


def heard_by(row: Row) -> Row:
    """LightGBM with what that PALR's language model says of each item among its features."""
    note = "the same re-ranker with the timeline's two scores among its features"
    return dataclasses.replace(row, name=f"LightGBM re-ranker and {row.name}", other="lightgbm", note=note)


BASELINES = (
    Row("popularity", "trivial", "popularity"),
    Row("item-kNN", "collaborative", "itemknn"),
    Row("EASE", "collaborative", "ease"),
    Row("BERT4Rec", "collaborative", "bert4rec"),
    Row("SASRec (softmax)", "collaborative", "sasrec"),
)
RERANKED = Row(
    "LightGBM re-ranker", "collaborative", other="lightgbm", note="of the retriever's 50, learned on validation"
)
SHORT = {"max_steps": 150, "batch_rows": 2, "accumulate": 2}
PROMPTED = (
    Row(
        "PALR v2 (faithful, written freely)", "llm", palr={"mode": "faithful", **SHORT}, everybody=False,
        note="600 instructions from a fifth of the users: what some twenty minutes allow",
    ),
    Row("PALR v2 (bound lists)", "llm", palr={"mode": "faithful", "decode": "trie", **SHORT}, everybody=False),
    Row(
        "PALR v1 (written freely)", "llm", palr={"mode": "faithful", "tasks": ["recommend"], **SHORT}, everybody=False,
    ),
    Row("PALR (letters)", "llm", palr={"decode": "letters", "user_share": 0.2, **SHORT}, everybody=False),
)  # fmt: skip
ABLATIONS = (
    Row("PALR (without profile)", "llm", palr={"profile": "none"}),
    Row("PALR (not fused)", "llm", palr={"fusion": False}),
)
RETRIEVER = Row("retriever", "collaborative", note="the best on validation; PALR's 50 candidates are its")
TEXT_ONLY = Row("PALR (text only, not fused)", "llm", palr={"content": "text", "fusion": False})
FIFTH = "PALR (tuned on a fifth of the users)"
FIFTH_LONGER = Row(FIFTH, "llm", palr={"user_share": 0.2, "epochs": 5.0})


def table(other: Row, default: Row = DEFAULT) -> tuple[Row, ...]:
    """All rows of a claim, ``other`` the second opinion that is no language model's."""
    return (
        *BASELINES,
        RETRIEVER,
        MATCHED,
        other,
        RERANKED,
        UNTRAINED,
        default,
        heard_by(default),
        *ABLATIONS,
        *PROMPTED,
    )


LARGE = {"sasrec": {"embedding_size": 128, "max_history": 100}}
ML1M = (
    Retriever(("ease",)),
    Retriever(("sasrec",), LARGE),
    Retriever(("sasrec", "ease"), LARGE),
    Retriever(("sasrec", "itemknn"), LARGE),
)
BEAUTY = tuple(
    Retriever(members)
    for members in (
        ("itemknn",),
        ("ease",),
        ("sasrec",),
        ("sasrec", "itemknn"),
        ("sasrec", "ease"),
        ("sasrec", "ease", "itemknn"),
    )
)
WARES = {"domain": "product", "content": "hybrid", "ids": False}
"""Tuned on a fifth of the users throughout, as in the paper: all of them would take an hour and a half here."""
FILMS = {"epochs": 2.0, "layers": 6}
"""What two cores allow in an hour: a user of MovieLens-1M has 164 films, one of Amazon Beauty nine. On MovieLens-100K
six layers had learned nearly as much as twelve after fifty steps; twelve were not run further."""
CLAIMS = {
    "palr-ml1m": Claim(
        lambda: ml1m().split("leave-one-out"), ML1M, table(second()), DEFAULT.name,
        FILMS, published("ml1m"), chosen="palr-ml1m",
    ),
    "palr-beauty": Claim(
        lambda: beauty().split("leave-one-out"), BEAUTY,
        table(second(**LARGE["sasrec"]), dataclasses.replace(DEFAULT, name=FIFTH)), FIFTH,
        {**WARES, "user_share": 0.2}, published("beauty"), chosen="palr-beauty", inductive=True,
    ),
    "palr-ml1m-fifth": Claim(
        lambda: ml1m().split("leave-one-out"), ML1M,
        (RETRIEVER, MATCHED, second(), RERANKED, FIFTH_LONGER, heard_by(FIFTH_LONGER)),
        FIFTH, FILMS, published("ml1m"), chosen="palr-ml1m", inductive=True,
    ),
    "palr-ml1m-unseen": Claim(
        lambda: ml1m().split("unseen-items"), (Retriever(("sasrec",)),),
        (
            Row("popularity", "trivial", "popularity"),
            RETRIEVER,
            Row("text vectors", "llm", other="text"),
            TEXT_ONLY,
            dataclasses.replace(UNTRAINED, name="PALR, text only, layers not pretrained", palr=TEXT_ONLY.palr),
        ),
        TEXT_ONLY.name, {**FILMS, "user_share": 0.2}, unseen=True,
    ),
}  # fmt: skip
