"""A claim's name -> results/NAME.json: every row trained, judged on the same frozen lists, tested against the focus.

    python -m benchmarks.claims llara-ml100k-loo
    TASTEMAKER_DATA=DIR python -m benchmarks.claims llara-movielens [--only ROW ...]

A row's scores are kept under runs/claims/NAME as soon as they are there, by its settings and the hashes of split and
candidates, so a command that was stopped, or given one row at a time, goes on where it was. The table is written from
the rows that are there; those that are not are named in it.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tastemaker import artifacts, collab, evaluate
from tastemaker.collab.base import CollaborativeModel
from tastemaker.data import CandidateSet, Split, load_dataset, load_split
from tastemaker.evaluate import System
from tastemaker.evaluate.protocols import protocol
from tastemaker.evaluate.system import Kind
from tastemaker.methods.llara import LLaRA
from tastemaker.types import BoolArray, FloatArray, Query

LLM = "smollm2-135m"
RUNS = Path("runs/claims")


@dataclass(frozen=True)
class Row:
    """One row of a table, for one seed."""

    name: str
    kind: Kind
    model: str = "ensemble"
    """The collaborative model judged, or the one that lends LLaRA vectors and scores."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    llara: Mapping[str, Any] | None = None
    seed: int = 0
    draws: int | None = None
    """For answers that depend on the candidates shown: how many draws are asked. None: scores of the catalogue."""
    free: bool = False
    """Whether the answer is a title written freely."""
    note: str = ""

    @property
    def id(self) -> str:
        """How the command line and the directory name it."""
        words = "".join(c if c.isalnum() else "-" for c in self.name.lower())
        return f"{'-'.join(filter(None, words.split('-')))}-{self.seed}"


@dataclass(frozen=True)
class Claim:
    """What one file under results/ rests on."""

    split: Callable[[], Split]
    protocol: str
    tables: Mapping[str, int]
    """For each file under results/, on how many of the candidate draws its rows are judged at most."""
    focus: str
    rows: tuple[Row, ...]


BCE = {"loss": "bce"}
COUNTS = (Row("popularity", "trivial", "popularity"), Row("co-occurrence", "trivial", "cooccurrence"))
STRONG = tuple(
    Row(f"{n} (softmax)", "collaborative", m)
    for n, m in (("SASRec", "sasrec"), ("GRU4Rec", "gru4rec"), ("Caser", "caser"))
)
WEAK = tuple(
    Row(f"{n} (bce)", "collaborative", m, BCE)
    for n, m in (("SASRec", "sasrec"), ("GRU4Rec", "gru4rec"), ("Caser", "caser"))
)
ENSEMBLE = Row("ensemble", "collaborative", note="SASRec, GRU4Rec and Caser")
DEFAULT = Row("LLaRA (default)", "llm", llara={}, note="vectors and scores of the ensemble")
ALONE = Row(
    "LLaRA (default, not fused)", "llm", llara={"fusion": False}, note="vectors of the ensemble, not its scores"
)
CLAIMS = {
    "llara-movielens": Claim(
        lambda: load_split("llara-movielens", times=load_dataset("ml-100k")),
        "llara",
        {"llara-movielens": 100},
        DEFAULT.name,
        (
            *COUNTS,
            *WEAK,
            *STRONG,
            ENSEMBLE,
            *(dataclasses.replace(DEFAULT, seed=seed) for seed in (0, 1, 2)),
            ALONE,
            Row("LLaRA (hybrid slots, not fused)", "llm", llara={"content": "hybrid", "fusion": False}),
            Row("LLaRA (text only, not fused)", "llm", llara={"content": "text", "fusion": False}),
            Row("LLaRA (index only, not fused)", "llm", llara={"content": "index", "fusion": False}),
            Row(
                "zero-shot LLM", "llm", "sasrec", llara={"mode": "faithful", "content": "text", "max_steps": 0}, draws=5
            ),
            Row(
                "LLaRA (faithful, scored)",
                "llm",
                "sasrec",
                BCE,
                {
                    "mode": "faithful",
                    "accumulate": 2,
                    "max_steps": 60,
                    "learning_rate": 8e-4,
                    "validate_every": 60,
                    "validate_cases": 40,
                },
                draws=5,
                note="the paper's prompt and loss, 960 of 330,000 examples: what some ten minutes allow",
            ),
            Row(
                "LLaRA (faithful, written freely)",
                "llm",
                "sasrec",
                BCE,
                {
                    "mode": "faithful",
                    "accumulate": 2,
                    "max_steps": 60,
                    "learning_rate": 8e-4,
                    "validate_every": 60,
                    "validate_cases": 40,
                },
                draws=1,
                free=True,
            ),
        ),
    ),
    "llara-ml100k-loo": Claim(
        lambda: load_dataset("ml-100k").split("leave-one-out"),
        "leave-one-out-20",
        {"llara-ml100k-loo": 1, "llara-ml100k-loo-100-lists": 100},
        DEFAULT.name,
        (*COUNTS, *STRONG, ENSEMBLE, DEFAULT, ALONE),
    ),
}


class Bench:
    """One claim being measured."""

    def __init__(self, name: str) -> None:
        self.name, self.claim = name, CLAIMS[name]
        self.split = self.claim.split()
        rule, draws = protocol(self.claim.protocol), max(self.claim.tables.values())
        n_items = self.split.dataset.n_items
        self.candidates = CandidateSet.draw(
            self.split.test, n_items, n=rule.n or 20, draws=draws, exclude=rule.exclude
        )
        self.started = time.monotonic()

    def measure(self, row: Row) -> None:
        """Score the row's answers, unless they are kept."""
        if self.kept(row).is_dir():
            return
        started = time.monotonic()
        arrays = self._shown(row) if row.draws else {"scores": self._catalogue(row)}
        seconds = time.monotonic() - started
        artifacts.save(self.kept(row), kind="claim-row", arrays=arrays, json={"row": {"seconds": seconds}})
        print(
            f"{self.name}: {row.id} in {seconds:.0f} s, {time.monotonic() - self.started:.0f} s in all", file=sys.stderr
        )

    def kept(self, row: Row) -> Path:
        """Where the row's scores are, or will be."""
        facts = [dataclasses.asdict(row), self.split.hash, self.candidates.hash if row.draws else ""]
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
        return RUNS / self.name / f"{row.id}-{key}"

    def write(self) -> list[Path]:
        """The tables under results/, from the rows that are there."""
        there = [row for row in self.claim.rows if self.kept(row).is_dir()]
        if not any(row.name == self.claim.focus for row in there):
            raise SystemExit(f"{self.claim.focus} is not measured yet; nothing to write")
        missing = tuple(dict.fromkeys(row.name for row in self.claim.rows if row not in there))
        seconds = sum(artifacts.load(self.kept(row), "claim-row").json("row")["seconds"] for row in there)
        written = []
        for name, draws in self.claim.tables.items():
            rule = protocol(self.claim.protocol).model_copy(update={"draws": draws})
            systems = [self._system(row) for row in there]
            lists = self.candidates.first(draws)
            judged = evaluate.evaluate(self.split, systems, rule, lists, focus=self.claim.focus)
            to = Path("results") / f"{name}.json"
            to.parent.mkdir(exist_ok=True)
            result = evaluate.write_result(judged, to, f"python -m benchmarks.claims {self.name}", name=name)
            # Scores come from where they are kept: how long that took says nothing of what they cost.
            rows = tuple(row.model_copy(update={"seconds_per_1000": None}) for row in result.rows)
            whole = result.model_copy(update={"missing": missing, "seconds": round(seconds, 1), "rows": rows})
            artifacts.write_atomic(to, (whole.model_dump_json(indent=1) + "\n").encode())
            written.append(to)
        return written

    def _catalogue(self, row: Row) -> FloatArray:
        queries = [case.query for case in self.split.test]
        if row.llara is None:
            return self._model(row).score(queries)
        return np.stack(self._llara(row).score(queries))

    def _shown(self, row: Row) -> dict[str, np.ndarray[Any, Any]]:
        method, scores, valid = self._llara(row), [], []
        for draw in range(row.draws or 0):
            queries = self.candidates.queries(self.split.test, draw)
            found, answered = (
                method.generate(queries) if row.free else (method.score(queries), np.ones(len(queries), bool))
            )
            scores.append(np.nan_to_num(np.stack(found), nan=-1.0))
            valid.append(answered)
        return {"scores": np.stack(scores), "valid": np.stack(valid).astype(np.int8)}

    def _model(self, row: Row) -> CollaborativeModel:
        path = (
            RUNS
            / self.name
            / "models"
            / f"{row.model}-{hashlib.sha256(json.dumps(dict(row.settings)).encode()).hexdigest()[:6]}-{row.seed}"
        )
        if path.is_dir():
            return collab.load_model(path)
        model = collab.models.get(row.model)(**row.settings).fit(self.split, seed=row.seed)
        collab.save_model(path, model)
        return model

    def _llara(self, row: Row) -> LLaRA:
        key = json.dumps(
            [row.model, dict(row.settings), {k: v for k, v in (row.llara or {}).items() if k != "fusion"}, row.seed]
        )
        run = RUNS / self.name / "tuning" / hashlib.sha256(key.encode()).hexdigest()[:12]
        settings = {**(row.llara or {})}
        # Fusion comes after tuning: the same checkpoint serves both rows.
        method = LLaRA(LLM, self._model(row), **settings)
        return method.tune(self.split, seed=row.seed, run_dir=run, progress=_progress)

    def _system(self, row: Row) -> System:
        arrays = artifacts.load(self.kept(row), "claim-row").arrays()
        scores = arrays["scores"]
        place = {case.query.user: i for i, case in enumerate(self.split.test)}

        def of_catalogue(queries: Sequence[Query]) -> list[FloatArray]:
            return [scores[place[q.user], list(q.candidates)] for q in queries]

        if row.draws is None:
            return System(
                row.name, row.kind, of_catalogue, seed=row.seed if row.llara is not None else None, notes=row.note
            )
        asked = {
            (q.user, q.candidates): (d, i)
            for d in range(row.draws)
            for i, q in enumerate(self.candidates.queries(self.split.test, d))
        }

        def of_shown(queries: Sequence[Query]) -> list[FloatArray]:
            found = [scores[asked[q.user, q.candidates]] for q in queries]
            return [np.where(one.max() < 0, np.nan, one).astype(np.float32) if row.free else one for one in found]

        def valid(queries: Sequence[Query]) -> BoolArray:
            return np.array([bool(arrays["valid"][asked[q.user, q.candidates]]) for q in queries])

        return System(row.name, row.kind, of_shown, valid=valid, draws=row.draws, seed=row.seed, notes=row.note)


def _progress(task: str, done: float, total: float | None = None, note: str = "") -> None:
    if "validation" in note:
        print(f"  {task} {done:.0f}/{total:.0f} {note}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for, then write the table and the pages made from it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("claims", nargs="*", default=sorted(CLAIMS), help=", ".join(sorted(CLAIMS)))
    parser.add_argument(
        "--only", nargs="*", metavar="ROW", help="measure these rows (their names begin so), write what is there"
    )
    parser.add_argument("--write", action="store_true", help="measure nothing, write what is there")
    asked = parser.parse_args(arguments)
    for name in asked.claims:
        bench = Bench(name)
        for row in () if asked.write else bench.claim.rows:
            if asked.only is None or any(row.id.startswith(one) for one in asked.only):
                bench.measure(row)
        print(*bench.write())
    evaluate.write_pages(".")


if __name__ == "__main__":
    main()
