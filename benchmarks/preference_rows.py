"""Who is judged on yes/no questions: the rows of TALLRec's and of CoLLM's table, the cheapest first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.kept import seeded, slug
from tastemaker.data import PreferenceSplit, load_split
from tastemaker.evaluate.protocols import PreferenceProtocol
from tastemaker.evaluate.protocols.collm import Collm
from tastemaker.evaluate.protocols.tallrec import Tallrec
from tastemaker.evaluate.result import Published
from tastemaker.evaluate.system import Kind


@dataclass(frozen=True)
class Row:
    """One row of a table, for one seed."""

    name: str
    kind: Kind
    model: str | None = None
    """The pointwise model judged, or the one under CoLLM or BinLLM."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of that model."""
    method: Literal["binllm", "collm", "tallrec"] | None = None
    tuning: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the method."""
    shots: int | None = None
    """The model is fitted on the training rows that TALLRec with that seed is tuned on, and no others."""
    parts: tuple[str, ...] = ()
    """Names of the rows an ensemble is made of, with its own seed where they have several."""
    weights: Literal["mean", "learned"] = "mean"
    """How: the mean of standardised scores, or a logistic regression on validation, for rows without a method."""
    seed: int = 0
    note: str = ""

    @property
    def id(self) -> str:
        """How the command line and the directory name it."""
        return f"{slug(self.name)}-{self.seed}"


@dataclass(frozen=True)
class Claim:
    """What one file under results/ rests on."""

    split: Callable[[], PreferenceSplit]
    protocol: PreferenceProtocol
    focus: str
    rows: tuple[Row, ...]
    published: tuple[Published, ...] = ()


def tallrec_rows() -> tuple[Row, ...]:
    """K = 0, 16, 64, 256 with everything that counts beside them, told from the same rows."""
    sizes, rated = (16, 64, 256), {"items": "rate"}
    told = "like-share + item rate"
    counts = (
        Row("like-share", "trivial", "like-share"),
        Row("item rate (8,000 rows)", "trivial", "item-rate"),
        Row(f"{told} (8,000 rows)", "trivial", "like-share", rated),
        *seeded(*(Row(f"{told} (the same {k})", "trivial", "like-share", rated, shots=k) for k in sizes)),
    )
    readers = (("GRU4Rec", "gru4rec"), ("Caser", "caser"), ("SASRec", "sasrec"))
    encoders = seeded(*(Row(f"{n} (the same {k})", "collaborative", m, shots=k) for n, m in readers for k in sizes))
    whole = seeded(*(Row(f"{n} (8,000 rows)", "collaborative", m) for n, m in readers))
    zero = Row("TALLRec, k = 0", "llm", method="tallrec", tuning={"shots": 0, "fusion": False}, note="no tuning")
    # An epoch of 256 rows between two looks at validation, which would else cost more than tuning.
    shown = {k: {"shots": k, **({"validate_every": 32} if k == 256 else {})} for k in sizes}
    counted = "fused with counts of the same rows"
    fused = [Row(f"TALLRec, k = {k}", "llm", method="tallrec", tuning=shown[k], note=counted) for k in sizes]
    bare = [
        Row(f"TALLRec, k = {k}, not fused", "llm", method="tallrec", tuning={**shown[k], "fusion": False})
        for k in sizes
    ]
    rich = Row(
        "TALLRec, k = 64, item rates of 8,000 rows", "llm", method="tallrec", tuning={"shots": 64, "counts": "train"}
    )
    faithful = Row(
        "TALLRec (faithful), k = 64",
        "llm",
        method="tallrec",
        tuning={"mode": "faithful", "shots": 64, "max_steps": 60, "validate_every": 20},
        note="the paper's prompt, loss and rate, 60 of 200 steps",
    )
    tuned = [row for pair in zip(fused, bare, strict=True) for row in pair]
    return (*counts, *encoders, *whole, zero, *(one for row in tuned for one in seeded(row)), *seeded(rich), faithful)


ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "MF": ("mf", {}),
    "MF with biases": ("mf", {"biases": True}),
    "LightGCN": ("lightgcn", {}),
    "SASRec": ("sasrec", {}),
    "DIN": ("din", {}),
    "CTRL (DIN)": ("ctrl-din", {}),
}
UNDER = "SASRec"
"""Whose vectors the focus has, and every comparison of one setting at a time."""
WORDS = {"reading": "prompt", "fusion": False, "gate": False, "layers": None, "validate_rows": 200}
CODED = {name: value for name, value in WORDS.items() if name != "reading"}
LONG = {"epochs": 2.5}
"""Where all labels are shown, a pass over all users is more than twice as long: as many steps as with likes only."""
SHORT = {"max_steps": 150, "validate_every": 50, "batch_rows": 8}
"""What some ten minutes allow of prompts in words: 1,200 of 33,891 rows."""


def collm_rows(sees: str) -> tuple[Row, ...]:
    """Rates, encoders, ensembles, CoLLM over every encoder, its stages, and prompts in words; ``sees`` ends names."""
    rates = [
        Row("item rate", "trivial", "item-rate"),
        Row("liked count", "trivial", "liked-count"),
        Row("item + user rate", "trivial", "user-item-rate"),
        Row("attribute rate", "trivial", "attribute-rate", note="of like years"),
    ]
    if sees:
        rates += [
            Row(f"item + user rate{sees}", "trivial", "user-item-rate", {"users": "history"}),
            Row(f"like-share{sees}", "trivial", "like-share"),
        ]
    encoders = [Row(name, "collaborative", model, settings) for name, (model, settings) in ENCODERS.items()]
    if sees:
        encoders.append(Row(f"SASRec that reads answers{sees}", "collaborative", "sasrec-answers"))
    hashed = Row("MF in 32 bits", "collaborative", "hashed-mf")
    counted = rates[4] if sees else rates[2]
    counts = ("item rate", counted.name, "liked count", "attribute rate")
    rates.append(Row(f"counting, learned weights{sees}", "trivial", parts=counts, weights="learned"))
    parts = ("item rate", counted.name, *ENCODERS)
    ensembles = [
        Row(f"ensemble, mean{sees}", "collaborative", parts=parts),
        Row(f"ensemble, learned weights{sees}", "collaborative", parts=parts, weights="learned"),
    ]

    def over(name: str, tail: str = "", **tuning: Any) -> Row:
        model, settings = ENCODERS[name]
        tuning = {**LONG, **tuning} if sees else tuning
        return Row(f"CoLLM-{name}{tail}{sees}", "llm", model, settings, "collm", tuning)

    focus = over(UNDER)
    others = [over(name) for name in ENCODERS if name != UNDER]
    bare = over(UNDER, " not fused", fusion=False)
    text = dataclasses.replace(
        over(UNDER, stage="text", fusion=False), name=f"text stage{sees}", note="titles alone: the paper's TALLRec"
    )
    stages = [over(UNDER, f", {stage}", stage=stage) for stage in ("cie", "t1", "t2")]
    free = dataclasses.replace(
        over("MF", stage="t2", fusion=False), name=f"UI-token{sees}", note="free vectors, learned with the mapper alone"
    )
    model, settings = ENCODERS[UNDER]
    worded = [
        Row("ICL (frozen, in words)", "llm", model, settings, "collm", {**WORDS, "stage": "text", "max_steps": 0}),
        Row("TALLRec (in words)", "llm", model, settings, "collm", {**WORDS, **SHORT, "stage": "text"}),
        Row("BinLLM (in words)", "llm", "hashed-mf", {}, "binllm", {**CODED, **SHORT}, note="MF in 32 bits, as text"),
        Row("soft prompt", "llm", model, settings, "collm", {**WORDS, **SHORT, "soft": True}),
        Row(
            f"CoLLM-{UNDER} (faithful)", "llm", model, settings, "collm",
            {"mode": "faithful", "max_steps": 60, "batch_rows": 16, "validate_rows": 200},
            note="the paper's prompts, loss and stages, 960 rows in each: what some twenty minutes allow",
        ),
    ]  # fmt: skip
    language = [*seeded(text, focus, bare), *seeded(*others), *seeded(*stages), free, *(() if sees else worded)]
    return (*rates, *seeded(*encoders, hashed), *seeded(*ensembles), *language)


PAPER = "the paper's table II, 7B"
PUBLISHED = {
    "MF": (0.6482, 0.6361, 0.8447), "LightGCN": (0.5959, 0.6499, 0.8564), "SASRec": (0.7078, 0.6884, 0.8612),
    "DIN": (0.7166, 0.6459, 0.8496), "CTRL (DIN)": (0.7159, 0.6492, 0.8559), "ICL": (0.5320, 0.5268, 0.8114),
    "Prompt4NR": (0.7071, 0.6739, 0.8663), "TALLRec": (0.7097, 0.6818, 0.8711), "CoLLM-MF": (0.7295, 0.6875, 0.8714),
    "CoLLM-LightGCN": (0.7100, 0.6967, 0.8740), "CoLLM-SASRec": (0.7235, 0.6990, 0.8765),
    "CoLLM-DIN": (0.7353, 0.6923, 0.8735),
}  # fmt: skip


def _published(values: Mapping[str, Sequence[float]], source: str) -> tuple[Published, ...]:
    names = ("auc", "uauc", "undcg")
    return tuple(
        Published(system=system, metrics=dict(zip(names, figures, strict=False)), source=source)
        for system, figures in values.items()
    )


CLAIMS = {
    "tallrec-movie": Claim(
        lambda: _of("tallrec-movie"),
        Tallrec(),
        "TALLRec, k = 64",
        tallrec_rows(),
        _published(
            {"TALLRec, k = 16": [0.6724], "TALLRec, k = 64": [0.6748], "TALLRec, k = 256": [0.7198]},
            "the paper's table 1, 7B",
        ),
    ),
    "collm-ml1m": Claim(
        lambda: _of("collm-ml-1m"),
        Collm(),
        f"CoLLM-{UNDER}",
        collm_rows(""),
        (
            *_published(PUBLISHED, PAPER),
            *_published({"CoLLM-MF, T2": (0.7418, 0.6906)}, "the paper's table V, 7B"),
            *_published({"CoLLM-MF, 1.5B": (0.7354, 0.6950)}, "the paper's table VII"),
            *_published({"BinLLM": (0.7425, 0.6956)}, "BinLLM, 7B, as quoted by others"),
        ),
    ),
    "collm-ml1m-all": Claim(
        lambda: _of("collm-ml-1m", history="all"),
        Collm(),
        f"CoLLM-{UNDER} (all labels)",
        collm_rows(" (all labels)"),
    ),
}


def _of(name: str, **options: Any) -> PreferenceSplit:
    split = load_split(name, **options)
    if not isinstance(split, PreferenceSplit):
        raise TypeError(f"{name} asks no yes/no questions")
    return split
