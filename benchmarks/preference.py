"""Claims on yes/no questions -> results/NAME.json: every row trained, asked, and tested against the focus.

    TASTEMAKER_DATA=DIR python -m benchmarks.preference tallrec-movie collm-ml1m collm-ml1m-all [--only ROW ...]

A row's scores are kept under runs/claims/NAME as soon as they are there, by all its settings and the split's hash, so
a command that was stopped, or given one row at a time, goes on where it was. A row that needs others measures them
first. The table is written from the rows that are there; those that are not are named in it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import kept
from benchmarks.kept import Arrays, key
from benchmarks.preference_rows import CLAIMS, Row
from tastemaker import collab, evaluate, methods
from tastemaker.collab import pointwise
from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.config import build
from tastemaker.data.preference import Judgement, labels
from tastemaker.evaluate import System
from tastemaker.methods import _fusion
from tastemaker.methods._encoded import EncodedMethod
from tastemaker.methods._preference import PreferenceMethod
from tastemaker.methods.tallrec import TALLRec, shots
from tastemaker.types import FloatArray, Query

LLM = "smollm2-135m"
PARTS = ("test", "valid")


class Bench:
    """One claim being measured."""

    def __init__(self, name: str, asked: kept.Asked) -> None:
        self.name, self.claim, self.asked, self.folder = name, CLAIMS[name], asked, kept.RUNS / name
        self.split = self.claim.split()

    def measure(self, row: Row) -> None:
        """Keep the row's scores of all test rows and, without a language model, of all validation rows."""
        if self.there(row):
            return
        for part in self._parts(row):
            self.measure(part)
        started = time.monotonic()
        answers = self._ensemble(row) if row.parts else self._asked(row)
        took = time.monotonic() - started
        seconds = {"seconds": took, "asking": float(answers.pop("asking", np.zeros(1))[0])}
        note = {"note": str(answers.pop("note", np.array("")))}
        kept.save(self.kept(row), self.asked, answers, **seconds, **note)
        kept.told(f"{self.name}: {row.id}", started)

    def kept(self, row: Row) -> Path:
        """Where the row's scores are, or will be."""
        return self.folder / f"{row.id}-{key(self._facts(row))}"

    def there(self, row: Row) -> bool:
        """Whether they are kept."""
        return self.kept(row).is_dir()

    def write(self) -> list[Path]:
        """The table under results/, from the rows that are there."""
        there = [row for row in self.claim.rows if self.there(row)]
        if not any(row.name == self.claim.focus for row in there):
            return []
        judged = evaluate.evaluate(
            self.split, [self._system(row) for row in there], self.claim.protocol, focus=self.claim.focus
        )
        runs = tuple(
            run.model_copy(update={"seconds": took["asking"]})
            for run, took in zip(judged.runs, map(self._took, there), strict=True)
        )
        judged = dataclasses.replace(judged, runs=runs)
        missing = dict.fromkeys(row.name for row in self.claim.rows if row not in there)
        to = kept.write(
            judged,
            Path("results") / f"{self.name}.json",
            self.asked,
            self.name,
            [(row.name, self.kept(row)) for row in there],
            whole=not missing,
            missing=tuple(missing),
            seconds=round(sum(self._took(row)["seconds"] for row in there), 1),
            published=self.claim.published,
        )
        return [to]

    def _took(self, row: Row) -> dict[str, Any]:
        """The ``seconds`` of training and asking together, of ``asking`` alone, and a ``note``."""
        return kept.took(self.kept(row))

    def _asked(self, row: Row) -> Arrays:
        model = self._model(row) if row.method is None else self._method(row)
        started = time.monotonic()
        found: Arrays = {"test": _scores(model, self.split.test)}
        asking = time.monotonic() - started
        if row.method is None:
            found["valid"] = _scores(model, self.split.valid)
        note = model.told() if isinstance(model, PreferenceMethod) else ""
        return {**found, "asking": np.array([asking]), "note": np.array(note)}

    def _ensemble(self, row: Row) -> Arrays:
        parts = [kept.arrays(self.kept(part)) for part in self._parts(row)]
        asking = sum(self._took(part)["asking"] for part in self._parts(row))
        tables = {name: np.stack([part[name] for part in parts], axis=1) for name in PARTS}
        if row.weights == "mean":
            scaled = {
                name: ((t - tables["valid"].mean(0)) / tables["valid"].std(0).clip(1e-9)) for name, t in tables.items()
            }
            found = {name: table.mean(axis=1).astype(np.float32) for name, table in scaled.items()}
        else:
            fusion = _fusion.learned(tables["valid"], labels(self.split.valid))
            found = {name: fusion.score(table) for name, table in tables.items()}
        return {**found, "asking": np.array([asking])}

    def _parts(self, row: Row) -> list[Row]:
        """The rows an ensemble is made of, of its own seed where there are several."""
        named = {name: [one for one in self.claim.rows if one.name == name] for name in row.parts}
        return [next((one for one in found if one.seed == row.seed), found[0]) for found in named.values()]

    def _model(self, row: Row) -> PointwiseModel:
        facts = self._model_facts(row)
        path = self.folder / "models" / f"{row.model}-{row.seed}-{key(facts)}"
        if path.is_dir():
            return collab.load_pointwise(path)
        split = self.split
        if row.shots is not None:
            split = dataclasses.replace(split, train=tuple(shots(split, row.shots, row.seed)))
        model = pointwise.models.get(row.model or "")(**row.settings).fit(split, seed=row.seed)
        collab.save_model(path, model)
        return model

    def _method(self, row: Row) -> PreferenceMethod:
        found, config = judge(row), _config(row)
        method = found(LLM, self._model(row), config) if issubclass(found, EncodedMethod) else found(LLM, config)
        return method.tune(self.split, seed=row.seed, run_dir=self.run_dir(row), progress=kept.progress)

    def run_dir(self, row: Row) -> Path:
        """Where the row's tuning is logged and kept; rows that differ in what comes after it share one."""
        facts = self._facts(row)
        facts["tuning"] = {k: v for k, v in facts["tuning"].items() if k not in ("fusion", "gate", "counts")}
        return self.folder / "tuning" / key(facts)

    def _model_facts(self, row: Row) -> dict[str, Any]:
        """All that decides what the pointwise model is."""
        model = pointwise.models.get(row.model or "")(**row.settings)
        settings = model.config.model_dump(mode="json")
        return {"model": row.model, "settings": settings, "seed": row.seed, "split": self.split.hash, "k": row.shots}

    def _facts(self, row: Row) -> dict[str, Any]:
        """All that decides what the row says."""
        if row.parts:
            return {"parts": [self._facts(part) for part in self._parts(row)], "weights": row.weights}
        facts = self._model_facts(row) if row.model else {"seed": row.seed, "split": self.split.hash}
        if row.method is None:
            return facts
        return {**facts, "llm": LLM, "method": row.method, "tuning": _config(row).model_dump(mode="json")}

    def _system(self, row: Row) -> System:
        scores = kept.arrays(self.kept(row))["test"]
        place = {id(judged.query): at for at, judged in enumerate(self.split.test)}

        def score(queries: Sequence[Query]) -> list[FloatArray]:
            return [scores[[place[id(query)]]] for query in queries]

        one_seed = sum(other.name == row.name for other in self.claim.rows) == 1
        likely = row.weights == "learned" if row.parts else row.method is not None or _likely(row)
        notes = "; ".join(filter(None, (row.note, self._took(row)["note"] if one_seed or row.seed == 0 else "")))
        seed = None if one_seed and row.kind == "trivial" else row.seed
        return System(row.name, row.kind, score, seed=seed, probabilities=likely, notes=notes)


def _likely(row: Row) -> bool:
    return pointwise.models.get(row.model or "").probabilities


def judge(row: Row) -> type[TALLRec] | type[EncodedMethod]:
    """The method that answers in the row."""
    found = methods.registry.get(row.method or "")
    assert issubclass(found, TALLRec | EncodedMethod)
    return found


def _config(row: Row) -> Any:
    return build(judge(row).Config, row.tuning)


def _scores(model: PointwiseModel | PreferenceMethod, rows: Sequence[Judgement]) -> FloatArray:
    return np.concatenate([np.zeros(0, np.float32), *model.score([row.query for row in rows])])


def line(arguments: Sequence[str] | None = None) -> kept.Asked:
    """What the command line says."""
    return kept.asked("preference", __doc__ or "", CLAIMS, arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for, then write the tables and the pages made from them."""
    asked = line(arguments)
    kept.run(asked, lambda name: Bench(name, asked))


if __name__ == "__main__":
    main()
