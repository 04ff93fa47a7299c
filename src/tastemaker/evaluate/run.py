"""A split, systems and a protocol -> an Evaluation: every system judged on the same frozen questions."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import polars as pl

from tastemaker.data.candidates import CandidateSet
from tastemaker.data.describe import warnings_of
from tastemaker.data.preference import AnySplit, PreferenceSplit
from tastemaker.data.split import Case, Split
from tastemaker.errors import UsageError
from tastemaker.evaluate import breadth, protocols
from tastemaker.evaluate.evaluation import Evaluation
from tastemaker.evaluate.metrics import preference_metric, rank_metric
from tastemaker.evaluate.preference_run import judge_preferences
from tastemaker.evaluate.protocols import ListProtocol, PreferenceProtocol, Protocol
from tastemaker.evaluate.ranking import SCHEMA, Outcomes, place, stacked
from tastemaker.evaluate.ranking_evaluation import RankingEvaluation
from tastemaker.evaluate.result import Run
from tastemaker.evaluate.system import KINDS, System
from tastemaker.types import BoolArray, FloatArray, IntArray, Progress, Query, quiet

_BATCH = 128  # queries per call: enough for a system to sort by length, few enough for a moving progress bar


def evaluate(
    split: AnySplit,
    systems: Sequence[System],
    protocol: Protocol | str,
    candidates: CandidateSet | None = None,
    *,
    part: Literal["test", "valid"] = "test",
    focus: str | None = None,
    progress: Progress = quiet,
) -> Evaluation:
    """Every system's outcome on every case: ``evaluate(split, systems, "llara").rows``.

    ``candidates``: frozen lists to use instead of drawing them by the protocol. ``focus``: the system the paired
    tests compare with all others; the last one given if None. Raises `UsageError` before anything is scored, also
    for a protocol that asks other questions than the split has.
    """
    protocol = protocols.protocol(protocol) if isinstance(protocol, str) else protocol
    focus = _checked(systems, protocol, focus)
    if isinstance(split, PreferenceSplit) and isinstance(protocol, PreferenceProtocol) and candidates is None:
        return judge_preferences(split, systems, protocol, part=part, focus=focus, progress=progress)
    if isinstance(split, PreferenceSplit) or not isinstance(protocol, ListProtocol):
        asks = "asks what is liked" if isinstance(split, PreferenceSplit) else "asks what comes next"
        raise UsageError(f"split {split.name!r} {asks}, which is not what protocol {protocol.name!r} judges")
    questions = _Questions(split, part, protocol, candidates)
    started = time.perf_counter()
    judged = [_judge(system, questions, progress) for system in systems]
    return RankingEvaluation(
        protocol=protocol,
        data_hash=split.hash,
        candidates_hash=questions.hash,
        part=part,
        outcomes=pl.concat([frame for frame, _ in judged]),
        runs=tuple(run for _, run in judged),
        focus=focus,
        seconds=time.perf_counter() - started,
        remarks=warnings_of(split),
    )


class _Questions:
    """The cases of a split as queries, batch by batch, the same for every system."""

    def __init__(self, split: Split, part: str, protocol: ListProtocol, candidates: CandidateSet | None) -> None:
        self.cases: tuple[Case, ...] = split.test if part == "test" else split.valid
        if not self.cases:
            raise UsageError(f"split {split.name!r} has no {part} cases; there is nothing to evaluate")
        self.split, self.n_items = split, split.dataset.n_items
        self.positives = np.array([case.positive for case in self.cases], dtype=np.int32)
        self.users = [-1 - i if c.query.user is None else int(c.query.user) for i, c in enumerate(self.cases)]
        self.candidates = self._lists(protocol, candidates)
        self.numbers = np.arange(len(self.cases)) if self.candidates else _numbered(self.cases)

    def _lists(self, protocol: ListProtocol, given: CandidateSet | None) -> CandidateSet | None:
        if protocol.n is None:
            if given is not None:
                raise UsageError(f"protocol {protocol.name!r} ranks the whole catalogue; it takes no candidates")
            return None
        return given or CandidateSet.draw(
            self.cases,
            self.n_items,
            n=protocol.n,
            draws=protocol.draws,
            seed=protocol.seed,
            exclude=protocol.exclude,
            window=protocol.window,
        )

    @property
    def hash(self) -> str | None:
        return None if self.candidates is None else self.candidates.hash

    @property
    def draws(self) -> int:
        return 1 if self.candidates is None else self.candidates.draws

    def queries(self, draw: int, part: slice) -> list[Query]:
        if self.candidates is not None:
            return self.candidates.queries(self.cases, draw, part)
        return [dataclasses.replace(case.query, candidates=()) for case in self.cases[part]]

    def columns(self, draw: int, part: slice) -> tuple[IntArray, BoolArray | None]:
        """Which column is the positive's, and which may not compete."""
        if self.candidates is not None:
            return self.candidates.slots[draw, part], None
        cases, positives = self.cases[part], self.positives[part]
        allowed = np.ones((len(cases), self.n_items), dtype=np.bool_)
        for row, case in zip(allowed, cases, strict=True):
            row[list(case.query.history)] = False
        allowed[np.arange(len(cases)), positives] = True
        return positives, allowed


def _judge(system: System, questions: _Questions, progress: Progress) -> tuple[pl.DataFrame, Run]:
    draws, n = min(system.draws or questions.draws, questions.draws), len(questions.cases)
    witness = _Witness(system, questions.n_items)
    frames = []
    tops = np.full((int(questions.numbers[-1]) + 1, breadth.LENGTH), breadth.NOBODY, dtype=np.int32)
    for start in range(0, n, _BATCH):
        part = slice(start, min(start + _BATCH, n))
        lists = [questions.queries(draw, part) for draw in range(draws)]
        for draw, scores in enumerate(witness.answers(lists)):
            table = stacked(scores, system.name)
            columns = _outcomes(system, questions, table, lists[draw], draw, part)
            if questions.candidates is None:
                tops[questions.numbers[part]] = breadth.listed(table, lists[draw])
            frames.append(pl.DataFrame(columns, schema_overrides=SCHEMA).select(*SCHEMA))
            progress(f"evaluate {system.name}", start * draws + (part.stop - start) * (draw + 1), draws * n)
    return pl.concat(frames).sort("draw", "case"), Run(
        system=system.name,
        kind=system.kind,
        seed=system.seed,
        draws=draws,
        seconds=witness.seconds,
        recommendations=witness.asked,
        probabilities=system.probabilities,
        breadth=breadth.of_lists(tops, questions.split).as_metrics() if questions.candidates is None else {},
        notes=system.notes,
    )


class _Witness:
    """A system being asked, by the clock."""

    def __init__(self, system: System, n_items: int) -> None:
        self.system, self.n_items = system, n_items
        self.seconds, self.asked = 0.0, 0

    def answers(self, lists: Sequence[Sequence[Query]]) -> Iterator[Sequence[FloatArray]]:
        """The scores of each list of queries in turn; ``lists`` hold the same cases with other candidates."""
        if len(lists) == 1 or not self.system.scores_catalogue:
            yield from map(self._ask, lists)
            return
        whole = [_united(of_case) for of_case in zip(*lists, strict=True)]
        scores = self._ask(whole)
        places = [{item: place for place, item in enumerate(query.candidates)} for query in whole]
        for queries in lists:
            asked = zip(scores, places, queries, strict=True)
            yield [row[[place[item] for item in query.candidates]] for row, place, query in asked]

    def _ask(self, queries: Sequence[Query]) -> Sequence[FloatArray]:
        asked = list(dict.fromkeys(queries))  # a question with several right answers is asked once
        started = time.perf_counter()
        scores = self.system.score(asked)
        self.seconds += time.perf_counter() - started
        self.asked += len(asked)
        name = self.system.name
        if len(scores) != len(asked):
            raise UsageError(f"system {name!r} answered {len(scores)} of {len(asked)} queries; one array each")
        for row, query in zip(scores, asked, strict=True):
            n = len(query.candidates) or self.n_items
            if row.shape != (n,):
                raise UsageError(f"system {name!r} gave scores of shape {row.shape} for {n} items; one score per item")
        answers = dict(zip(asked, scores, strict=True))
        return [answers[query] for query in queries]


def _numbered(cases: Sequence[Case]) -> IntArray:
    """``[case]``: which question it belongs to; cases of one user in a row with one query are right answers to one."""
    new = [
        before is None or one.query.user is None or one.query != before.query
        for before, one in zip((None, *cases), cases, strict=False)
    ]
    return np.cumsum(new, dtype=np.int32) - np.int32(1)


def _united(queries: Sequence[Query]) -> Query:
    """The same question about everything that any of the queries asks about."""
    items = dict.fromkeys(item for query in queries for item in query.candidates)
    return dataclasses.replace(queries[0], candidates=tuple(items))


def _outcomes(
    system: System,
    questions: _Questions,
    table: FloatArray,
    queries: Sequence[Query],
    draw: int,
    part: slice,
) -> Outcomes:
    positives, allowed = questions.columns(draw, part)
    outcomes = place(table, positives, allowed)
    valid = outcomes["answered"] if system.valid is None else outcomes["answered"] & system.valid(queries)
    size = len(queries)
    outcomes |= {
        "system": np.full(size, system.name),
        "seed": np.full(size, system.seed),
        "user": np.array(questions.users[part]),
        "case": questions.numbers[part],
        "draw": np.full(size, draw),
        "valid": valid,
    }
    if allowed is not None:
        outcomes |= {"slot": np.full(size, -1), "picked": np.full(size, -1)}
    return outcomes


def _checked(systems: Sequence[System], protocol: Protocol, focus: str | None) -> str:
    if not systems:
        raise UsageError("no systems to evaluate; give at least one")
    read = preference_metric if isinstance(protocol, PreferenceProtocol) else rank_metric
    for name in protocol.metrics:
        read(name)
    kinds: dict[str, str] = {}
    seen: set[tuple[str, int | None]] = set()
    for system in systems:
        if system.kind not in KINDS:
            raise UsageError(f"system {system.name!r} has kind {system.kind!r}; one of {', '.join(KINDS)}")
        if (system.name, system.seed) in seen or kinds.setdefault(system.name, system.kind) != system.kind:
            raise UsageError(f"two systems are named {system.name!r}; rename one, or give them different seeds")
        seen.add((system.name, system.seed))
    if focus is not None and focus not in kinds:
        raise UsageError(f"no system named {focus!r} to focus on; there are {', '.join(kinds)}")
    return focus or systems[-1].name
