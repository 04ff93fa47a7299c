"""Other libraries on the same machine -> how long they take for what we do, and to be as good."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import torch

from benchmarks import peers
from benchmarks.palr_rows import ml1m
from benchmarks.peers.__main__ import MODEL, texts
from benchmarks.speed.ceiling import fastest
from tastemaker import evaluate
from tastemaker.collab.base import CollaborativeModel
from tastemaker.collab.sasrec import SASRec
from tastemaker.data import Split, load_dataset
from tastemaker.data.sources import fetch
from tastemaker.evaluate import System
from tastemaker.evaluate.result import Row
from tastemaker.llm import scoring, zoo
from tastemaker.llm.local import LocalLM
from tastemaker.prompts.prompt import Prompt

NAMES = {"rectools": "SASRec, RecTools", "recbole": "SASRec, RecBole", "implicit": "matrix factorisation, implicit"}
LATEST = ("rectools",)
"""Those that train on each user's latest interactions only, as many as a history may have."""
KIND = "against other libraries"


@dataclass(frozen=True)
class Field:
    """What both sides are trained on, and for how long."""

    name: str
    split: Split
    settings: peers.Settings
    """For every peer; one that is not done with its epochs by then is cut off, and its last epoch estimated."""


@dataclass(frozen=True)
class Ours:
    """Our SASRec with the peers' settings."""

    model: CollaborativeModel
    epochs: int
    seconds: float
    """Of an epoch, validation included."""
    total: float
    ndcg: float


def fields() -> Iterator[Field]:
    """MovieLens-100K to the end; MovieLens-1M, where its file is at hand, for an epoch or two."""
    small = load_dataset("ml-100k").split("leave-one-out")
    assert isinstance(small, Split)
    yield Field("ML-100K", small, peers.Settings(epochs=10, seconds=120.0))
    if "TASTEMAKER_DATA" in os.environ:
        large = ml1m().split("leave-one-out")
        assert isinstance(large, Split)
        yield Field("ML-1M", large, peers.Settings(epochs=3, seconds=120.0))


def measure(llm: str) -> list[Row]:
    """What reading takes, then on each field two rows a peer: an epoch, and until as good; and judging."""
    rows = [_reading(llm)]
    for field in fields():
        ours = _ours(field.split, field.settings)
        rows += [row for name in NAMES for row in _peer(name, field, ours)]
        rows.append(_judging(field, ours.model))
    return rows


def _peer(name: str, field: Field, ours: Ours) -> list[Row]:
    system = f"an epoch of {NAMES[name]}, {field.name}"
    facts = peers.measured(name, lambda: peers.ranked(name, field.split, field.settings))
    if facts["error"]:
        return [_failed(system, facts["error"])]
    versions = ", ".join(f"{package} {version}" for package, version in facts["versions"].items())
    theirs = facts["seconds_per_epoch"]
    told, seconds = "all interactions", ours.seconds
    if name in LATEST:
        told = f"each user's latest {field.settings.maxlen + 1} interactions, all that theirs reads"
        seconds = _ours(_latest(field.split, field.settings.maxlen + 1), field.settings).seconds
    epoch = Row(
        system=system,
        kind=KIND,
        metrics={"ratio": theirs / seconds, "ours": seconds, "theirs": theirs},
        notes=f"seconds; ours is SASRec on {told}, validation included"
        f"{'; their last epoch is estimated' if facts.get('estimated') else ''}; {versions}",
    )
    system = f"as good, {NAMES[name]}, {field.name}"
    if not facts["curve"]:
        return [epoch, _failed(system, f"cut off after {field.settings.seconds:.0f} s, before its first epoch ended")]
    return [epoch, _as_good(system, facts, field, ours)]


def _as_good(system: str, facts: peers.Facts, field: Field, ours: Ours) -> Row:
    """Seconds until both are as good as the worse of them ever gets: ours by whole trainings of 1, 2, 4 ... epochs."""
    best = max(facts["curve"], key=lambda point: point["ndcg@10"])
    target, epochs = min(best["ndcg@10"], ours.ndcg), 1
    while epochs < ours.epochs:
        less = _ours(field.split, field.settings.model_copy(update={"epochs": epochs}))
        if less.ndcg >= target:
            ours = less
            break
        epochs *= 2
    theirs = peers.seconds_to(facts, target) or best["seconds"]
    return Row(
        system=system,
        kind=KIND,
        metrics={"ratio": theirs / ours.total, "ours": ours.total, "theirs": theirs},
        notes=f"seconds of training until NDCG@10 is {target:.4f}; ours has {ours.ndcg:.4f} after {ours.epochs} "
        f"epochs, theirs at best {best['ndcg@10']:.4f} after {best['seconds']:.0f} s",
    )


def _latest(split: Split, n: int) -> Split:
    return dataclasses.replace(split, train=split.train.group_by("user", maintain_order=True).tail(n))


def _ours(split: Split, settings: peers.Settings) -> Ours:
    ended = [time.perf_counter()]

    def progress(task: str, done: float, total: float | None = None, note: str = "") -> None:
        ended.append(time.perf_counter())

    model = SASRec(
        embedding_size=settings.factors,
        max_history=settings.maxlen,
        batch_size=settings.batch,
        epochs=settings.epochs,
        n_layers=settings.blocks,
        n_heads=settings.heads,
        dropout=settings.dropout,
    ).fit(split, seed=settings.seed, progress=progress)
    table = evaluate.evaluate(split, [System.of_model("SASRec", model)], "leave-one-out")
    seconds = median(b - a for a, b in pairwise(ended))
    return Ours(model, settings.epochs, seconds, ended[-1] - ended[0], table.rows[0].metrics["ndcg@10"])


def _judging(field: Field, model: CollaborativeModel) -> Row:
    system = System.of_model("SASRec", model)
    seconds = fastest(lambda: evaluate.evaluate(field.split, [system], "leave-one-out"), 3)
    users, items = len(field.split.test), field.split.dataset.n_items
    return Row(
        system=f"full-catalogue HR and NDCG, {field.name}",
        kind="evaluation",
        metrics={"ours": seconds},
        notes=f"seconds for {users:,} users and {items:,} items, intervals included",
    )


def _reading(llm: str) -> Row:
    """Positions a second through the same weights, ours as this machine is fastest and llama.cpp's as its file is."""
    system = "prompt processing against llama.cpp"
    found: dict[str, Any] = peers.measured("llamacpp", _llamacpp)
    if found["error"]:
        return _failed(system, found["error"])
    lm = LocalLM.load(llm)
    encoded = [lm.encode(Prompt.of(text)) for text in texts()]
    with lm.answering(), torch.no_grad():
        plain = fastest(lambda: _read(lm, encoded), 3)
    tokens = sum(map(len, encoded))
    theirs = found["tokens_per_second"]
    return Row(
        system=system,
        kind=KIND,
        metrics={"ratio": tokens / plain / theirs, "ours": tokens / plain, "theirs": theirs},
        notes=f"tokens per second, {os.cpu_count()} cores; ours in {str(lm.dtype).removeprefix('torch.')}",
    )


def _read(lm: LocalLM, encoded: list[Any]) -> None:
    for group in scoring.batches([len(one) for one in encoded], scoring.budget(lm)):
        lm.hidden([encoded[i] for i in group])


def _llamacpp() -> dict[str, Any]:
    model = zoo.ZOO[MODEL]
    return peers.processed("llamacpp", texts(), fetch(model.sources, name=MODEL) / model.gguf)


def _failed(system: str, error: str) -> Row:
    return Row(system=system, kind=KIND, metrics={}, notes=f"not measured: {error}")
