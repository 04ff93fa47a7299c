"""A fifth of what each user liked -> top-5 precision, recall and NDCG of Chat-REC and its rivals.

``chatrec-ml100k`` has three tables: ``NAME`` has all rows on a random sample of users and one seed, since zero-shot
rows read a prompt for each of them; ``NAME-all`` has the others on all users, each of the seeds with a random split of
its own; ``NAME-time`` is the same for the one split by time. The other claims are one table each, of splits whose test
nobody had read when the rule that chooses Chat-REC's weights was made. What was fitted and judged is kept under
runs/claims/NAME.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import kept
from benchmarks.chatrec_rows import ALONE, CLAIMS, DEFAULT, Claim, N, Part, Row
from benchmarks.kept import Asked, key, slug
from tastemaker import Recommender, artifacts, collab, evaluate
from tastemaker.collab.base import CollaborativeModel
from tastemaker.collab.ensemble import Ensemble
from tastemaker.data import Split
from tastemaker.evaluate import Evaluation, System
from tastemaker.evaluate.result import Run
from tastemaker.methods.chatrec import ChatRec
from tastemaker.types import FloatArray, Progress

LLM = "smollm2-135m"
_NEARNESS = ", nearness in meaning "


class Bench:
    """The claim being measured."""

    def __init__(self, name: str, asked: Asked, claim: Claim) -> None:
        self.name, self.asked, self.folder, self.claim = name, asked, kept.RUNS / name, claim
        self.retriever = next(row for row in claim.rows if row.model == "lightgcn" and row.chat is None)
        self.llm: Any = LLM

    def measure(self, row: Row, part: Part, seed: int) -> None:
        """Judge the row, unless that is done, or it is too slow for the part."""
        to = self.kept(row, part, seed)
        if to.is_file() or not part.has(row):
            return
        started = time.monotonic()
        split = part.split(seed)
        system = self._system(row, part, seed, split)
        if system is None:
            return
        judged = evaluate.evaluate(split, [system], "chatrec")
        evaluate.write_result(judged, to, self.asked.command(self.name), commit=self.asked.commit)
        kept.told(f"{self.name}{part.suffix}: {row.name} {seed}", started)

    def kept(self, row: Row, part: Part, seed: int) -> Path:
        """Where the row's outcomes are, or will be."""
        facts = [dataclasses.asdict(row), part.split(seed).hash, seed]
        return self.folder / "rows" / f"{slug(row.name)}-{seed}{part.suffix}-{key(facts)}.json"

    def write(self, part: Part) -> Path | None:
        """The part's table, of the rows that are there."""
        there = {(row.name, seed): self.kept(row, part, seed) for row in self.claim.rows for seed in part.seeds}
        there = {key: path for key, path in there.items() if path.is_file()}
        if not any(name == DEFAULT for name, _ in there):
            return None
        found = [evaluate.read_evaluation(path) for path in there.values()]
        whole = evaluate.combine(_pooled(found), DEFAULT)
        whole = dataclasses.replace(whole, runs=_with_weights(whole.runs), remarks=(_remark(part),))
        return kept.write(
            whole,
            Path("results") / f"{self.name}{part.suffix}.json",
            self.asked,
            self.name,
            [(row, path) for (row, _), path in there.items()],
            whole=all((row.name, seed) in there for row in self.claim.rows if part.has(row) for seed in part.seeds),
            missing=tuple(row.name for row in self.claim.rows if row.name not in {name for name, _ in there}),
            published=tuple(self.claim.published),
        )

    def _system(self, row: Row, part: Part, seed: int, split: Split) -> System | None:
        if row.chat is None:
            return System.of_model(row.name, self._model(row, part, seed), row.kind, seed=seed, notes=row.note)
        weight = row.chat.get("weight")
        weight = self._weight(row, part) if weight is None else weight
        if weight not in (0.0, ALONE) and part.sample is None:
            return None  # the language model would read a prompt for everybody
        settings = {**row.chat, "weight": weight, "candidates": N}
        method = _Encoded(self._lm() if weight else self.llm, self._model(row, part, seed), **settings)
        method.tune(split)
        told = f"weights chosen on validation: language model {weight:g}{_NEARNESS}{method.nearness:g}"
        told = "" if "weight" in row.chat else told
        recommender = Recommender(self._model(self.retriever, part, seed), method, split, n_candidates=N)
        notes = "; ".join(filter(None, (row.note, told)))
        return System(row.name, row.kind, recommender.score_queries, seed=seed, notes=notes)

    def _weight(self, row: Row, part: Part) -> float:
        """Chosen on validation of the first seed, once for each kind of split."""
        first = part.seeds[0]
        path = self.folder / "weights" / f"{key([row.model, dict(row.settings), part.whole(first).hash])}.json"
        if not path.is_file():
            method = _Encoded(self._lm(), self._model(row, part, first), candidates=N).tune(part.whole(first))
            path.parent.mkdir(parents=True, exist_ok=True)
            artifacts.write_atomic(path, json.dumps(method.weight).encode())
        return float(json.loads(path.read_bytes()))

    def _lm(self) -> Any:
        if isinstance(self.llm, str):
            from tastemaker.llm.local import LocalLM

            self.llm = LocalLM.load(self.llm)
        return self.llm

    def _model(self, row: Row, part: Part, seed: int) -> CollaborativeModel:
        if row.model != "ensemble":
            return self._fitted(row, part, seed)
        ensemble = Ensemble(**row.settings)  # of the very models that are rows themselves
        members = [Row(name, "collaborative", name, row.settings["settings"][name]) for name in row.settings["members"]]
        ensemble.members = tuple(self._fitted(member, part, seed) for member in members)
        ensemble.item_counts = ensemble.members[0].item_counts
        return ensemble

    def _fitted(self, row: Row, part: Part, seed: int) -> CollaborativeModel:
        split = part.whole(seed)
        path = self.folder / "models" / f"{row.model}-{seed}-{key([row.model, dict(row.settings), split.hash, seed])}"
        if not path.is_dir():
            collab.save_model(path, collab.models.get(row.model)(**row.settings).fit(split, seed=seed))
        return collab.load_model(path)


_VECTORS: dict[tuple[str | None, int], FloatArray] = {}


class _Encoded(ChatRec):
    """Chat-REC that encodes the one catalogue of the claim once for all rows and seeds."""

    def _encoded(self, progress: Progress) -> FloatArray:
        key = self.config.encoder if self.config.nearness != 0 else None, self.catalogue.n_items
        if key not in _VECTORS:
            _VECTORS[key] = super()._encoded(progress)
        return _VECTORS[key]


def measure(name: str, asked: Asked) -> list[Path]:
    """The claim's files, of what is measured."""
    bench = Bench(name, asked, CLAIMS[name])
    for part in bench.claim.parts:
        for seed in () if asked.write else part.seeds:
            for row in bench.claim.rows:
                if asked.wants(slug(row.name)):
                    bench.measure(row, part, seed)
    return [path for part in bench.claim.parts if (path := bench.write(part)) is not None]


def _with_weights(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs, each noting the weights of nearness that all seeds of its row have."""
    told: dict[str, list[str]] = {}
    for run in runs:
        told.setdefault(run.system, []).append(run.notes.partition(_NEARNESS)[2])
    notes = {system: " / ".join(weights) for system, weights in told.items() if weights[0]}
    return tuple(
        run.model_copy(update={"notes": "".join([*run.notes.partition(_NEARNESS)[:2], notes[run.system]])})
        if run.system in notes
        else run
        for run in runs
    )


def _remark(part: Part) -> str:
    random = "Each seed has a random split of its own." if len(part.seeds) > 1 else "The first random split."
    how = random if part.order == "random" else "One split by time, models of several seeds."
    return (
        f"{how} Every user is one question with several right answers; all rows rank all that was not seen. The "
        "language model's weight was chosen on validation of the first seed (0 unless it helps by two standard errors "
        "of 100 questions) and serves all seeds; that of nearness, of sentence vectors of title, genres and year, on "
        "validation of each (by one standard error). Where the model's weight is 0, only nearness is added. "
        f"{part.remark}"
    )


def _pooled(found: Sequence[Evaluation]) -> list[Evaluation]:
    """The same as answers to one set of questions, that of all the splits."""
    hashes = sorted({one.data_hash for one in found})
    one = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    return [dataclasses.replace(evaluation, data_hash=one) for evaluation in found]
