"""A peer's name and what to run it on -> versions, seconds and figures, as plain as JSON."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.peers.environment import HERE, PeerError, python_of, run
from benchmarks.peers.exchange import ndcg, read_top, write_split
from tastemaker.data import Split

NAMES = tuple(sorted(path.stem for path in (HERE / "requirements").glob("*.txt")))
Facts = dict[str, Any]
Programs = Callable[[str], tuple[Path, Path]]
"""A peer's name -> the interpreter and the program to run."""


class Settings(BaseModel):
    """What every peer is told, as far as it has such a thing; the defaults are RecTools' and the SASRec paper's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(10, ge=1)
    every: int = Field(1, ge=1)
    """Recommendations are asked for after every so many epochs."""
    seconds: float = Field(600.0, gt=0)
    """Of training; no epoch begins after it."""
    factors: int = Field(64, ge=1)
    blocks: int = Field(2, ge=1)
    heads: int = Field(2, ge=1)
    maxlen: int = Field(50, ge=1)
    batch: int = Field(128, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    learning_rate: float = Field(1e-3, gt=0)
    threads: int = Field(2, ge=1)
    seed: int = 0


def installed(name: str) -> tuple[Path, Path]:
    """The interpreter of the peer's own environment, and its program."""
    return python_of(name), HERE / "programs" / f"run_{name}.py"


def ranked(name: str, split: Split, settings: Settings, programs: Programs = installed) -> Facts:
    """Train the peer on a split: seconds of each epoch, and NDCG@10 against seconds of training.

    ``curve`` has ``epoch``, ``seconds`` and ``ndcg@10``; ``estimated`` says that the last epoch was cut off, and its
    length concluded from the part that was run. Raises `PeerError`.
    """
    with tempfile.TemporaryDirectory(prefix="peer-") as place:
        folder = Path(place)
        write_split(folder, split)
        facts = _run(folder, *programs(name), settings.model_dump())
        for point in facts["curve"]:
            point["ndcg@10"] = round(ndcg(split, read_top(folder / point.pop("top"), split)), 4)
    about = {"peer": name, "data": split.dataset.name, "split": split.hash, "settings": settings.model_dump()}
    return {**about, **facts, "seconds_per_epoch": median(facts["epoch_seconds"])}


def processed(
    name: str, texts: Sequence[str], model: Path, *, threads: int = 2, programs: Programs = installed
) -> Facts:
    """Have the peer read texts with the language model of a GGUF file: tokens per second. Raises `PeerError`."""
    with tempfile.TemporaryDirectory(prefix="peer-") as place:
        job = {"texts": list(texts), "model": str(model), "threads": threads}
        facts = _run(Path(place), *programs(name), job)
    return {"peer": name, "model": model.name, "threads": threads, **facts}


def measured(name: str, measure: Callable[[], Facts]) -> Facts:
    """What ``measure`` gives, with ``error`` null; or the name and what went wrong."""
    try:
        return {**measure(), "error": None}
    except PeerError as e:
        return {"peer": name, "error": str(e)}


def seconds_to(facts: Facts, target: float) -> float | None:
    """Seconds of training until NDCG@10 was first as good as the target; None if it never was."""
    return next((point["seconds"] for point in facts["curve"] if point["ndcg@10"] >= target), None)


def _run(folder: Path, python: Path, program: Path, job: Mapping[str, Any]) -> Facts:
    (folder / "job.json").write_text(json.dumps(job))
    threads = {f"{library}_NUM_THREADS": str(job["threads"]) for library in ("OMP", "MKL", "OPENBLAS")}
    run([str(python), str(program), str(folder)], {**os.environ, **threads})
    try:
        answer: Facts = json.loads((folder / "answer.json").read_text())
    except (OSError, ValueError) as e:
        raise PeerError(f"{program.name} ended well but left no answer: {e}") from e
    return answer
