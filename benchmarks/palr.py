"""PALR's claims -> results/palr-*.json: everybody over the whole catalogue, the language models on a frozen sample.

    TASTEMAKER_DATA=DIR python -m benchmarks.palr_retrievers
    TASTEMAKER_DATA=DIR python -m benchmarks.palr palr-ml1m [--only ROW ...] [--write]

The first command chooses on validation whose lists are re-ranked. Each claim has two tables: ``NAME`` has all rows on a
random sample of users that is always the same, ``NAME-all`` the rows that are quick enough on all users; where a fifth
of the users was tuned on, ``NAME-inductive`` has the others. Fitted models,
tuning checkpoints and each row's outcomes are kept under runs/claims, so that a command that was stopped, or given one
row at a time, goes on where it was.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from benchmarks import kept
from benchmarks.kept import key, slug
from benchmarks.palr_retrievers import chosen, fitted, retriever
from benchmarks.palr_rows import CLAIMS, RETRIEVER, Row, untouched
from benchmarks.profile_match import ProfileMatch
from benchmarks.rerank import Reranker
from tastemaker import Recommender, artifacts, evaluate
from tastemaker.collab.base import CollaborativeModel
from tastemaker.data import CandidateSet, Split
from tastemaker.data.describe import warnings_of
from tastemaker.data.split import Case
from tastemaker.data.splits.unseen_items import withheld
from tastemaker.evaluate import System
from tastemaker.evaluate.breadth import listed, of_lists
from tastemaker.evaluate.evaluation import Evaluation
from tastemaker.evaluate.protocols.palr import Palr
from tastemaker.llm import zoo
from tastemaker.methods._palr_fusion import Weights, proposed, retrieval_ceiling
from tastemaker.methods.palr import PALR
from tastemaker.recommend.text import TextRetriever
from tastemaker.types import FloatArray, IntArray, Query

LLM = "smollm2-135m"
FUSION = "conditional logit over the proposed"
"""How rows that fuse do so: they are measured anew when it changes."""
SAMPLE = 2000
N = 50


class Bench:
    """One claim being measured."""

    def __init__(self, name: str, asked: kept.Asked) -> None:
        self.name, self.claim, self.asked, self.folder = name, CLAIMS[name], asked, kept.RUNS / name
        self.split = self.claim.split()
        self.chosen = chosen(self.claim)
        self.methods: dict[str, PALR] = {}
        self.weights: dict[str, Weights] = {}
        self.cases = self.split.test
        n = len(self.cases)
        self.parts = {"sample": np.sort(np.random.default_rng(0).permutation(n)[:SAMPLE])}
        if n > SAMPLE:
            self.parts["all"] = np.arange(n)
        if self.claim.inductive:
            self.parts["inductive"] = untouched(self.split)

    def measure(self, row: Row) -> None:
        """Judge the row on all cases, or if that would take too long on the sample, and keep each part; unless done."""
        parts = {part: places for part, places in self.parts.items() if row.everybody or part == "sample"}
        if all(self.kept(row, part).is_file() for part in parts):
            return
        started = time.monotonic()
        asked = np.unique(np.concatenate(list(parts.values())))
        cases = [self.cases[at] for at in asked]
        system = self._system(row)
        listed = _Listed(system.score)
        system = dataclasses.replace(system, score=listed)
        judged = evaluate.evaluate(self._only(cases), [system], self._protocol, self._lists(cases))
        notes = self._notes(row, cases)
        for part, places in parts.items():
            self._keep(row, part, judged, np.searchsorted(asked, places), listed.lists, notes)
        kept.told(f"{self.name}: {row.id}", started)

    def _keep(
        self, row: Row, part: str, judged: Evaluation, at: IntArray, lists: Sequence[IntArray], notes: Sequence[str]
    ) -> None:
        cases = [self.cases[place] for place in self.parts[part]]
        words, metrics = list(notes), dict[str, float]()
        if not self.claim.unseen:
            metrics = of_lists(np.array([lists[place] for place in at], dtype=np.int32), self.split).as_metrics()
        if row == RETRIEVER and not self.claim.unseen:
            ceiling = retrieval_ceiling(self._retriever(), cases, N)
            words.append(f"HR@{N} is {ceiling:.4f}, the ceiling of what re-ranks it")
        told = "; ".join(words)
        only = self._only(cases)
        number = pl.Series(np.arange(len(at)), dtype=judged.outcomes["case"].dtype)
        outcomes = judged.outcomes.filter(pl.col("case").is_in(at.tolist()))
        own = dataclasses.replace(
            judged,
            outcomes=outcomes.with_columns(pl.col("case").replace_strict(at.tolist(), number)),
            data_hash=only.hash,
            runs=tuple(run.model_copy(update={"notes": told, "breadth": metrics}) for run in judged.runs),
            remarks=warnings_of(only),
        )
        to = self.kept(row, part)
        to.parent.mkdir(parents=True, exist_ok=True)
        artifacts.write_atomic(to.with_suffix(".told"), json.dumps({"words": told, "metrics": metrics}).encode())
        evaluate.write_result(own, to, self.asked.command(self.name), commit=self.asked.commit)

    def kept(self, row: Row, part: str) -> Path:
        """Where the row's outcomes are, or will be."""
        facts = [dataclasses.asdict(row), dict(self.claim.palr), dataclasses.asdict(self.chosen), self.split.hash]
        if row.other == "profile" or (row.palr is not None and row.other != "lightgbm"):
            facts.append(FUSION)
        return self.folder / "rows" / f"{row.id}-{part}-{key(facts)}.json"

    def there(self, row: Row) -> bool:
        """Whether they are kept, for the sample at least."""
        return self.kept(row, "sample").is_file()

    def write(self) -> list[Path]:
        """The tables under results/, from the rows that are there."""
        written = []
        for part in self.parts:
            there = [row for row in self.claim.rows if self.kept(row, part).is_file()]
            if not any(row.name == self.claim.focus for row in there):
                continue
            whole = evaluate.combine(
                [evaluate.read_evaluation(self.kept(row, part)) for row in there], self.claim.focus
            )
            told = {row.name: json.loads(self.kept(row, part).with_suffix(".told").read_bytes()) for row in there}
            rows = tuple(
                row.model_copy(update={"metrics": {**row.metrics, **told[row.system]["metrics"]}}) for row in whole.rows
            )
            extra = tuple(dict.fromkeys(name for one in told.values() for name in one["metrics"]))
            missing = tuple(
                row.name for row in self.claim.rows if row not in there and (part == "sample" or row.everybody)
            )
            to = kept.write(
                whole,
                Path("results") / f"{self.name}{'' if part == 'sample' else f'-{part}'}.json",
                self.asked,
                self.name,
                [(row.name, self.kept(row, part)) for row in there],
                whole=not missing,
                rows=rows,
                metrics=(*whole.protocol.metrics, *extra),
                missing=missing,
                published=self.claim.published,
            )
            written.append(to)
        return written

    @property
    def _protocol(self) -> Palr:
        return Palr(n=len(withheld(self.split))) if self.claim.unseen else Palr()

    def _lists(self, cases: Sequence[Case]) -> CandidateSet | None:
        if not self.claim.unseen:
            return None
        pool = np.array(withheld(self.split), dtype=np.int32)
        positives = np.array([case.positive for case in cases], dtype=np.int32)
        return CandidateSet(np.tile(pool, (1, len(cases), 1)), positives, 0, "all withheld items, by number")

    def _only(self, cases: Sequence[Case]) -> Split:
        return dataclasses.replace(self.split, test=tuple(cases))

    def _notes(self, row: Row, cases: Sequence[Case]) -> list[str]:
        """What is known of the row beforehand, and what was found while it was measured."""
        words = [row.note] if row.note else []
        if row.palr is not None and row.other != "lightgbm" and not self.claim.unseen:
            words += self._palr_told(self._palr(row), cases)
        if row.id in self.weights:
            believed = self.weights[row.id].model_dump().items()
            words.append("weights " + ", ".join(f"{name} {value:.2g}" for name, value in believed if value))
        return words

    def _palr_told(self, method: PALR, cases: Sequence[Case]) -> list[str]:
        """Rates of free lists, and where the time goes."""
        queries = [case.query for case in cases[:64]]
        marks = [time.perf_counter()]
        scores = method.collab.score(queries)
        pools = []
        for query, row in zip(queries, scores, strict=True):
            pools.append(dataclasses.replace(query, candidates=tuple(proposed(row, query.history, N).tolist())))
        marks.append(time.perf_counter())
        for query in pools:
            method.words(query)
        marks.append(time.perf_counter())
        method.score(pools)
        marks.append(time.perf_counter())
        total = marks[-1] - marks[0]
        parts = zip(pairwise(marks), ("retrieval", "profile", "ranking"), strict=True)
        shares = [f"{(end - start) / total:.0%} {what}" for (start, end), what in parts]
        told = [f"{1000 * total / len(queries):.0f} s per 1,000 lists: {', '.join(shares)}"]
        if method.rates.lists:
            told.append(
                "of 64 lists " + ", ".join(f"{name} {rate:.1%}" for name, rate in method.rates.as_dict().items())
            )
        return told

    def _system(self, row: Row) -> System:
        if row.other == "lightgbm":
            heard = None if row.palr is None else self._palr(row).reading.answers
            return System(row.name, row.kind, Reranker(self._retriever(), N, heard=heard).fit(self.split).score)
        if row.palr is not None:
            method = self._palr(row)
            if method.scores_catalogue:
                self.weights[row.id] = method.weights
            recommender = Recommender(self._retriever(), method, self.split, n_candidates=N)
            return System(row.name, row.kind, recommender.score_queries)
        if row.other == "profile":
            second = self._model(row.model, row.settings) if row.model else None
            matched = ProfileMatch(self._retriever(), N, second=second).fit(self.split)
            self.weights[row.id] = matched.weights
            return System(row.name, row.kind, matched.score)
        if row.other == "text":
            return System(row.name, row.kind, _of_candidates(self._texts().score))
        return System.of_model(
            row.name, self._model(row.model, row.settings) if row.model else self._retriever(), row.kind
        )

    def _retriever(self) -> CollaborativeModel:
        return retriever(self.chosen, self.split)

    def _model(self, name: str, settings: Mapping[str, Any]) -> CollaborativeModel:
        return fitted(name, settings, self.split)

    def _palr(self, row: Row) -> PALR:
        settings = {**self.claim.palr, **(row.palr or {})}
        raw = row.other == "untrained"
        if (own := key([settings, row.seed, raw])) not in self.methods:
            # Fusion comes after tuning: one checkpoint serves the rows with and without it.
            facts = [{k: v for k, v in settings.items() if k != "fusion"}, self.split.hash, row.seed]
            facts += [dataclasses.asdict(self.chosen), *(["untrained"] if raw else [])]
            method = PALR(untrained() if raw else LLM, self._retriever(), **settings)
            method.tune(self.split, seed=row.seed, run_dir=kept.RUNS / "tuning" / key(facts), progress=kept.progress)
            self.methods = {own: method}  # one language model in memory at a time
        return self.methods[own]

    def _texts(self) -> TextRetriever:
        from tastemaker.llm.sentences import SentenceEncoder

        items = self.split.dataset.items
        genres = items["genres"].list.join(", ") if "genres" in items.columns else pl.Series([""] * items.height)
        texts = [f"{title}. {of or ''}" for title, of in zip(self.split.dataset.titles, genres, strict=True)]
        return TextRetriever(SentenceEncoder.load().encode(texts))


def untrained() -> str:
    """The directory of a language model like `LLM` whose weights are as they are drawn before it reads anything."""
    path = kept.RUNS / "untrained" / slug(LLM)
    if not (path / "tokenizer_config.json").is_file():
        origin = zoo.resolve(LLM, kept.progress)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(origin)).save_pretrained(path)
        AutoTokenizer.from_pretrained(origin).save_pretrained(path)
    return str(path)


class _Listed:
    """The same scores, and the ten best unseen items of each query as they went by."""

    def __init__(self, score: Callable[[Sequence[Query]], Sequence[FloatArray]]) -> None:
        self.score, self.lists = score, list[Any]()

    def __call__(self, queries: Sequence[Query]) -> Sequence[FloatArray]:
        scores = self.score(queries)
        if queries and not queries[0].candidates:
            self.lists += list(listed(np.stack(list(scores)), queries))
        return scores


def _of_candidates(score: Callable[..., Any]) -> Callable[..., Any]:
    def aligned(queries: Sequence[Any]) -> list[Any]:
        rows = zip(score(queries), queries, strict=True)
        return [row[list(q.candidates)] if q.candidates else row for row, q in rows]

    return aligned


def line(arguments: Sequence[str] | None = None) -> kept.Asked:
    """What the command line says."""
    return kept.asked("palr", __doc__ or "", CLAIMS, arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for, then write the tables and the pages made from them."""
    asked = line(arguments)
    kept.run(asked, lambda name: Bench(name, asked))


if __name__ == "__main__":
    main()
