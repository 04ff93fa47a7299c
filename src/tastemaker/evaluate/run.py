"""A split, systems and a protocol -> an Evaluation: every system judged on the same frozen questions."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl

from tastemaker.data.candidates import CandidateSet
from tastemaker.data.split import Case, Split
from tastemaker.errors import UsageError
from tastemaker.evaluate import protocols
from tastemaker.evaluate.evaluation import Evaluation
from tastemaker.evaluate.metrics import metric
from tastemaker.evaluate.protocols import Protocol
from tastemaker.evaluate.ranking import SCHEMA, Outcomes, place, stacked
from tastemaker.evaluate.result import Run
from tastemaker.evaluate.system import KINDS, System
from tastemaker.types import BoolArray, IntArray, Progress, Query, quiet

_BATCH = 128  # queries per call: enough for a system to sort by length, few enough for a moving progress bar


def evaluate(
    split: Split,
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
    tests compare with all others; the last one given if None. Raises `UsageError` before anything is scored.
    """
    protocol = protocols.protocol(protocol) if isinstance(protocol, str) else protocol
    focus = _checked(systems, protocol, focus)
    questions = _Questions(split, part, protocol, candidates)
    started = time.perf_counter()
    judged = [_judge(system, questions, progress) for system in systems]
    return Evaluation(
        protocol=protocol,
        data_hash=split.hash,
        candidates_hash=questions.hash,
        part=part,
        outcomes=pl.concat([frame for frame, _ in judged]),
        runs=tuple(run for _, run in judged),
        focus=focus,
        seconds=time.perf_counter() - started,
    )


class _Questions:
    """The cases of a split as queries, batch by batch, the same for every system."""

    def __init__(self, split: Split, part: str, protocol: Protocol, candidates: CandidateSet | None) -> None:
        self.cases: tuple[Case, ...] = split.test if part == "test" else split.valid
        if not self.cases:
            raise UsageError(f"split {split.name!r} has no {part} cases; there is nothing to evaluate")
        self.n_items = split.dataset.n_items
        self.positives = np.array([case.positive for case in self.cases], dtype=np.int32)
        self.users = [-1 - i if c.query.user is None else int(c.query.user) for i, c in enumerate(self.cases)]
        self.candidates = self._lists(protocol, candidates)

    def _lists(self, protocol: Protocol, given: CandidateSet | None) -> CandidateSet | None:
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

    def queries(self, draw: int) -> list[Query]:
        if self.candidates is not None:
            return self.candidates.queries(self.cases, draw)
        return [dataclasses.replace(case.query, candidates=()) for case in self.cases]

    def columns(self, draw: int, part: slice) -> tuple[int, IntArray, BoolArray | None]:
        """How many items compete, which column is the positive's, and which may not compete."""
        if self.candidates is not None:
            return self.candidates.n, self.candidates.slots[draw, part], None
        cases, positives = self.cases[part], self.positives[part]
        allowed = np.ones((len(cases), self.n_items), dtype=np.bool_)
        for row, case in zip(allowed, cases, strict=True):
            row[list(case.query.history)] = False
        allowed[np.arange(len(cases)), positives] = True
        return self.n_items, positives, allowed


def _judge(system: System, questions: _Questions, progress: Progress) -> tuple[pl.DataFrame, Run]:
    draws, n = min(system.draws or questions.draws, questions.draws), len(questions.cases)
    frames, seconds = [], 0.0
    for draw in range(draws):
        queries = questions.queries(draw)
        for start in range(0, n, _BATCH):
            part = slice(start, min(start + _BATCH, n))
            columns, took = _batch(system, questions, queries[part], draw, part)
            frames.append(pl.DataFrame(columns, schema_overrides=SCHEMA).select(*SCHEMA))
            seconds += took
            progress(f"evaluate {system.name}", draw * n + part.stop, draws * n)
    return pl.concat(frames), Run(
        system=system.name,
        kind=system.kind,
        seed=system.seed,
        draws=draws,
        seconds=seconds,
        recommendations=draws * n,
        probabilities=system.kind != "trivial" if system.probabilities is None else system.probabilities,
        notes=system.notes,
    )


def _batch(
    system: System, questions: _Questions, queries: Sequence[Query], draw: int, part: slice
) -> tuple[Outcomes, float]:
    started = time.perf_counter()
    scores = system.score(queries)
    took = time.perf_counter() - started
    if len(scores) != len(queries):
        raise UsageError(f"system {system.name!r} answered {len(scores)} of {len(queries)} queries; one array each")
    width, positives, allowed = questions.columns(draw, part)
    outcomes = place(stacked(scores, width, system.name), positives, allowed)
    valid = outcomes["answered"] if system.valid is None else outcomes["answered"] & system.valid(queries)
    size = len(queries)
    outcomes |= {
        "system": np.full(size, system.name),
        "seed": np.full(size, system.seed),
        "user": np.array(questions.users[part]),
        "case": np.arange(part.start, part.stop),
        "draw": np.full(size, draw),
        "valid": valid,
    }
    if allowed is not None:
        outcomes |= {"slot": np.full(size, -1), "picked": np.full(size, -1)}
    return outcomes, took


def _checked(systems: Sequence[System], protocol: Protocol, focus: str | None) -> str:
    if not systems:
        raise UsageError("no systems to evaluate; give at least one")
    for name in protocol.metrics:
        metric(name)
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
