"""A claim's name -> results/NAME.json: every row trained, judged on the same frozen lists, tested against the focus.

    python -m benchmarks.claims llara-ml100k-loo
    TASTEMAKER_DATA=DIR python -m benchmarks.claims llara-movielens [--only ROW ...]

A row's scores are kept under runs/claims/NAME as soon as they are there, by all its settings and the hashes of split
and candidates, so a command that was stopped, or given one row at a time, goes on where it was. The tables are written
from the rows that are there; those that are not are named in them.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import kept
from benchmarks.kept import Arrays, key, seeded, slug
from tastemaker import collab, evaluate
from tastemaker.collab.base import CollaborativeModel
from tastemaker.config import build
from tastemaker.data import AnySplit, CandidateSet, Split, load_dataset, load_split
from tastemaker.evaluate import System
from tastemaker.evaluate.protocols import ListProtocol
from tastemaker.evaluate.protocols.leave_one_out import LeaveOneOut
from tastemaker.evaluate.protocols.leave_one_out_20 import LeaveOneOut20
from tastemaker.evaluate.protocols.llara import Llara
from tastemaker.evaluate.result import Published, Run
from tastemaker.evaluate.system import Kind
from tastemaker.methods.llara import LLaRA, LLaRAConfig
from tastemaker.types import BoolArray, FloatArray, Query

LLM = "smollm2-135m"


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
        return f"{slug(self.name)}-{self.seed}"


@dataclass(frozen=True)
class Claim:
    """What one file under results/ rests on."""

    split: Callable[[], AnySplit]
    tables: Mapping[str, ListProtocol]
    """By which protocol the rows are judged in each file under results/. Those with candidates differ in their number
    of draws alone, and those over the whole catalogue leave out the rows that cannot answer for all of it."""
    focus: str
    rows: tuple[Row, ...]
    published: tuple[Published, ...] = ()


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
FAITHFUL = Row(
    "LLaRA (faithful, scored)",
    "llm",
    "sasrec",
    BCE,
    {
        "mode": "faithful",
        "accumulate": 2,
        "max_steps": 12,
        "lora_dropout": 0.0,
        "learning_rate": 8e-4,
        "validate_every": 12,
        "validate_cases": 20,
    },
    draws=2,
    note="the paper's prompt and loss, 192 of 330,000 examples, no dropout: what ten minutes of slow cores allow",
)
PAPER = (
    Published(system="LLaRA (Caser), 7B", metrics={"hr@1": 0.4737}, source="the paper's table 2, its best"),
    Published(system="LLaRA (SASRec), 7B", metrics={"hr@1": 0.4526}, source="its repository's README, July 2024"),
    Published(system="SASRec", metrics={"hr@1": 0.3444}, source="the paper's table 2"),
)


def _released() -> AnySplit:
    return load_split("llara-movielens", times=load_dataset("ml-100k"))


CLAIMS = {
    "llara-movielens": Claim(
        _released,
        {"llara-movielens": Llara()},
        DEFAULT.name,
        (
            *COUNTS,
            *WEAK,
            *seeded(*STRONG, ENSEMBLE, DEFAULT),
            ALONE,
            Row("LLaRA (hybrid slots, not fused)", "llm", llara={"content": "hybrid", "fusion": False}),
            Row("LLaRA (text only, not fused)", "llm", llara={"content": "text", "fusion": False}),
        ),
        PAPER,
    ),
    "llara-movielens-faithful": Claim(
        _released,
        {"llara-movielens-faithful": Llara()},
        FAITHFUL.name,
        (
            *COUNTS,
            *WEAK[:1],
            *STRONG[:1],
            ENSEMBLE,
            Row("LLaRA (index only, not fused)", "llm", llara={"content": "index", "fusion": False}),
            Row(
                "zero-shot LLM", "llm", "sasrec", llara={"mode": "faithful", "content": "text", "max_steps": 0}, draws=5
            ),
            FAITHFUL,
            dataclasses.replace(FAITHFUL, name="LLaRA (faithful, written freely)", draws=1, free=True),
        ),
        PAPER,
    ),
    "llara-ml100k-loo": Claim(
        lambda: load_dataset("ml-100k").split("leave-one-out"),
        {
            "llara-ml100k-loo": LeaveOneOut20(),
            "llara-ml100k-loo-100-lists": LeaveOneOut20(draws=100),
            "llara-ml100k-loo-full": LeaveOneOut(metrics=("ndcg@10", "hr@10", "mrr")),
        },
        DEFAULT.name,
        (*COUNTS, *seeded(*STRONG, ENSEMBLE, DEFAULT), ALONE),
    ),
}


class Bench:
    """One claim being measured."""

    def __init__(self, name: str, asked: kept.Asked) -> None:
        self.name, self.claim, self.asked, self.folder = name, CLAIMS[name], asked, kept.RUNS / name
        split = self.claim.split()
        if not isinstance(split, Split):
            raise TypeError(f"{name}: a table of rankings needs a split that asks what is chosen next")
        self.split = split
        rule = max((rule for rule in self.claim.tables.values() if rule.n), key=lambda rule: rule.draws)
        self.candidates = CandidateSet.draw(
            self.split.test,
            self.split.dataset.n_items,
            n=rule.n or 20,
            draws=rule.draws,
            seed=rule.seed,
            exclude=rule.exclude,
            window=rule.window,
        )

    def measure(self, row: Row) -> None:
        """Score the row's answers, unless they are kept; with ``--again``, ask the models that are kept once more."""
        there = self.there(row)
        if there and not self.asked.again:
            return
        started = time.monotonic()
        model = self._model(row) if row.llara is None else self._llara(row)
        trained = time.monotonic()
        arrays = self._shown(row, model) if isinstance(model, LLaRA) and row.draws else self._catalogue(model)
        ended = time.monotonic()
        took = {
            "seconds": self._took(row)["seconds"] if there else ended - started,
            "asking": ended - trained,
            "share": model.weight if isinstance(model, LLaRA) and not model.probabilities else None,
        }
        kept.save(self.kept(row), self.asked, arrays, **took)
        kept.told(f"{self.name}: {row.id}", started)

    def kept(self, row: Row) -> Path:
        """Where the row's scores are, or will be."""
        facts = self._model_facts(row) if row.llara is None else self._llara_facts(row)
        facts |= {"fusion": row.llara is not None and self._config(row).fusion}
        if row.draws:
            facts |= {"draws": row.draws, "free": row.free, "candidates": self.candidates.hash}
        return self.folder / f"{row.id}-{key(facts)}"

    def there(self, row: Row) -> bool:
        """Whether they are kept."""
        return self.kept(row).is_dir()

    def write(self) -> list[Path]:
        """The tables under results/, from the rows that are there."""
        there = [row for row in self.claim.rows if self.there(row)]
        if not any(row.name == self.claim.focus for row in there):
            return []
        return [self._table(name, rule, there) for name, rule in self.claim.tables.items()]

    def _table(self, name: str, rule: ListProtocol, there: Sequence[Row]) -> Path:
        rows = [row for row in there if rule.n or not row.draws]
        lists = self.candidates.first(rule.draws) if rule.n else None
        systems = [self._system(row, self._notes(row, there)) for row in rows]
        judged = evaluate.evaluate(self.split, systems, rule, lists, focus=self.claim.focus)
        judged = dataclasses.replace(judged, runs=tuple(map(self._as_asked, judged.runs, rows)))
        missing = dict.fromkeys(row.name for row in self.claim.rows if row not in there)
        return kept.write(
            judged,
            Path("results") / f"{name}.json",
            self.asked,
            self.name,
            [(row.name, self.kept(row)) for row in rows],
            whole=not missing,
            missing=tuple(missing),
            seconds=round(sum(self._took(row)["seconds"] for row in rows), 1),
            published=self.claim.published,
        )

    def _took(self, row: Row) -> dict[str, Any]:
        """The ``seconds`` of training and asking together, of ``asking`` alone, and the ``share`` of a fused row."""
        return kept.took(self.kept(row))

    def _as_asked(self, run: Run, row: Row) -> Run:
        """What asking really took; what `evaluate` timed was reading the answers kept."""
        asked = len(self.split.test) * (row.draws or 1)
        return run.model_copy(update={"seconds": self._took(row)["asking"], "recommendations": asked})

    def _notes(self, row: Row, there: Sequence[Row]) -> str:
        shares = [self._took(one)["share"] for one in there if one.name == row.name]
        told = " / ".join(f"{share:.2f}".removeprefix("0") for share in shares if share is not None)
        return "; ".join(filter(None, (row.note, f"share of the language model {told}" if told else "")))

    def _catalogue(self, model: CollaborativeModel | LLaRA) -> Arrays:
        return {"scores": np.stack(list(model.score([case.query for case in self.split.test])))}

    def _shown(self, row: Row, method: LLaRA) -> Arrays:
        scores, valid = [], []
        for draw in range(row.draws or 0):
            queries = self.candidates.queries(self.split.test, draw)
            found, answered = (
                method.generate(queries) if row.free else (method.score(queries), np.ones(len(queries), bool))
            )
            scores.append(np.nan_to_num(np.stack(found), nan=-1.0))
            valid.append(answered)
        return {"scores": np.stack(scores), "valid": np.stack(valid).astype(np.int8)}

    def _model(self, row: Row) -> CollaborativeModel:
        facts = self._model_facts(row)
        path = self.folder / "models" / f"{row.model}-{row.seed}-{key(facts)}"
        if path.is_dir():
            return collab.load_model(path)
        model = _unfitted(row).fit(self.split, seed=row.seed)
        collab.save_model(path, model)
        return model

    def _llara(self, row: Row) -> LLaRA:
        run = self.folder / "tuning" / key(self._llara_facts(row))
        method = LLaRA(LLM, self._model(row), self._config(row))
        return method.tune(self.split, seed=row.seed, run_dir=run, progress=kept.progress)

    def _config(self, row: Row) -> LLaRAConfig:
        return build(LLaRAConfig, row.llara or {})

    def _model_facts(self, row: Row) -> dict[str, Any]:
        """All that decides what the collaborative model is."""
        settings = _unfitted(row).config.model_dump(mode="json")
        return {"model": row.model, "settings": settings, "seed": row.seed, "split": self.split.hash}

    def _llara_facts(self, row: Row) -> dict[str, Any]:
        """All that decides what tuning gives; fusion comes after, so the same run serves both rows."""
        settings = self._config(row).model_dump(mode="json", exclude={"fusion"})
        return {**self._model_facts(row), "llm": LLM, "llara": settings}

    def _system(self, row: Row, notes: str = "") -> System:
        arrays = kept.arrays(self.kept(row))
        scores = arrays["scores"]
        place = {case.query.user: i for i, case in enumerate(self.split.test)}
        asked = {
            (q.user, q.candidates): (d, i)
            for d in range(row.draws or 0)
            for i, q in enumerate(self.candidates.queries(self.split.test, d))
        }

        def of_catalogue(queries: Sequence[Query]) -> list[FloatArray]:
            return [scores[place[q.user]][list(q.candidates) or slice(None)] for q in queries]

        def of_shown(queries: Sequence[Query]) -> list[FloatArray]:
            found = [scores[asked[q.user, q.candidates]] for q in queries]
            return [np.where(one.max() < 0, np.nan, one).astype(np.float32) if row.free else one for one in found]

        def valid(queries: Sequence[Query]) -> BoolArray:
            return np.array([bool(arrays["valid"][asked[q.user, q.candidates]]) for q in queries])

        unfitted = _unfitted(row)
        method = unfitted if row.llara is None else LLaRA(LLM, unfitted, self._config(row))
        return System(
            row.name,
            row.kind,
            of_shown if row.draws else of_catalogue,
            valid=valid if row.draws else None,
            draws=row.draws,
            seed=None if row.kind == "trivial" else row.seed,
            scores_catalogue=not row.draws,
            probabilities=method.probabilities and not row.free,
            notes=notes,
        )


def _unfitted(row: Row) -> CollaborativeModel:
    return collab.models.get(row.model)(**row.settings)


def line(arguments: Sequence[str] | None = None) -> kept.Asked:
    """What the command line says."""
    again = "ask the models that are kept once more, as for the time it takes"
    return kept.asked("claims", __doc__ or "", CLAIMS, arguments, again=again)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for, then write the table and the pages made from it."""
    asked = line(arguments)
    kept.run(asked, lambda name: Bench(name, asked))


if __name__ == "__main__":
    main()
