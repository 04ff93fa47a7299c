"""What collaborative vectors cost over titles alone -> results/collm-cost.json: the same steps and questions, in turns.

    TASTEMAKER_DATA=DIR python -m benchmarks.collm_cost

The paper's own figures are 15 % more in training and 12.5 % in inference. A quarter of an hour; nothing else may run.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.preference_rows import CLAIMS
from benchmarks.speed.duel import Duel
from tastemaker import evaluate
from tastemaker.artifacts import write_atomic
from tastemaker.collab import pointwise
from tastemaker.data import PreferenceSplit
from tastemaker.evaluate.machine import commit, machine
from tastemaker.evaluate.result import Result, Row
from tastemaker.methods.collm import CoLLM

LLM = "smollm2-135m"
OUT = Path("results/collm-cost.json")
TARGETS = {"training": 1.15, "inference": 1.125}


def cost(split: PreferenceSplit, llm: str, *, steps: int, asked: int, rounds: int, **settings: Any) -> dict[str, Duel]:
    """Seconds of ``steps`` of tuning and of ``asked`` questions: the text stage's, then those with vectors."""
    encoder = pointwise.models.get("sasrec")(epochs=1).fit(split)
    split = dataclasses.replace(split, valid=())
    queries = [row.query for row in split.test[:asked]]
    alone = {"hidden": 0, "fusion": False, "gate": False, "max_steps": steps + 1, **settings}
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for stage in ("text", "t3"):
            steps_done = _Clock()
            method = CoLLM(llm, encoder, stage=stage, **alone).tune(split, progress=steps_done)
            found.setdefault(("training", stage), []).append(steps_done.seconds)
            answering = time.perf_counter()
            method.score(queries)
            found.setdefault(("inference", stage), []).append(time.perf_counter() - answering)
    return {what: Duel(tuple(found[what, "text"]), tuple(found[what, "t3"])) for what in TARGETS}


class _Clock:
    """Progress that notes when the first step was done and when the last."""

    def __init__(self) -> None:
        self._marks: list[float] = []

    def __call__(self, task: str, done: float, total: float | None = None, note: str = "") -> None:
        if note.startswith("loss"):
            self._marks.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        """Of all steps but the first."""
        return self._marks[-1] - self._marks[0]


def row(what: str, measured: Duel) -> Row:
    """The median of how many times as long it takes with vectors."""
    low, high = measured.spread
    vectors, text = statistics.median(measured.theirs), statistics.median(measured.ours)
    metrics = {"ratio": measured.ratio, "target": TARGETS[what], "vectors": vectors, "text": text}
    return Row(
        system=f"{what}: vectors over titles alone",
        kind="cost",
        metrics={**metrics, "lowest": low, "highest": high},
        notes="seconds; the target is a most",
    )


def main() -> Path:
    """Measure and write."""
    begun = time.monotonic()
    split = CLAIMS["collm-ml1m"].split()
    found = cost(split, LLM, steps=8, asked=2000, rounds=3)
    result = Result(
        name=OUT.stem,
        protocol="collm",
        command="python -m benchmarks.collm_cost",
        commit=commit(),
        data_hash=split.hash,
        n=2000,
        machine=machine(),
        seconds=round(time.monotonic() - begun, 1),
        rows=tuple(row(what, duel) for what, duel in found.items()),
        metrics=("ratio", "target", "vectors", "text", "lowest", "highest"),
        describes="CoLLM-SASRec against its text stage: the same batches and questions, in turns, three rounds",
    )
    write_atomic(OUT, (result.model_dump_json(indent=1) + "\n").encode())
    evaluate.write_pages(".")
    return OUT


if __name__ == "__main__":
    print(main())
