"""Outcomes of every system on every case -> table rows with intervals and paired tests, whatever the questions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import polars as pl

from tastemaker.errors import UsageError
from tastemaker.evaluate import significance
from tastemaker.evaluate.metrics import metric
from tastemaker.evaluate.protocols import Protocol
from tastemaker.evaluate.result import Pair, Row, Run
from tastemaker.evaluate.system import KINDS

RESAMPLING_SEED = 20_240_229
"""Fixed, so that the same outcomes always give the same intervals."""


@dataclass(frozen=True, eq=False)
class Evaluation(ABC):
    """Everything needed to tell the systems apart; what a row of ``outcomes`` says is the subclass's business."""

    SCHEMA: ClassVar[Mapping[str, Any]]
    """The columns of ``outcomes``, ``system``, ``seed``, ``user`` and ``case`` among them."""

    protocol: Protocol
    data_hash: str
    candidates_hash: str | None
    part: str
    outcomes: pl.DataFrame
    runs: tuple[Run, ...]
    focus: str
    """The system the paired tests compare with all others."""
    seconds: float
    remarks: tuple[str, ...] = ()
    """What to know of the questions before believing the answers, one sentence each."""

    @property
    def n(self) -> int:
        """How many cases every system was judged on."""
        return self.outcomes["case"].n_unique()

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """One per system, trivial ones first, then in the order given; every system has its row."""
        return tuple(self._row(system) for system in self._systems)

    @property
    def columns(self) -> tuple[str, ...]:
        """The protocol's metrics, headline first, then what else is known of any row."""
        return tuple(dict.fromkeys([*self.protocol.metrics, *(name for row in self.rows for name in row.metrics)]))

    @cached_property
    def paired(self) -> tuple[Pair, ...]:
        """The focus against every other system, on each metric that is tested, best rival without LLM first.

        p is Holm's, corrected for all of them.
        """
        pairs = [pair for name in self.protocol.tested for pair in self._pairs(name)]
        corrected = significance.holm([pair.p for pair in pairs])
        return tuple(pair.model_copy(update={"p_holm": p}) for pair, p in zip(pairs, corrected, strict=True))

    def _pairs(self, name: str) -> list[Pair]:
        # Where nobody has answers of both kinds, say, there is no AUC within users: nothing to test.
        measured = [row for row in self.rows if name in row.metrics]
        others = [row for row in measured if row.system != self.focus]
        if len(others) == len(measured):
            return []
        sign = 1.0 if metric(name).higher_is_better else -1.0
        others.sort(key=lambda row: (row.kind == "llm", -sign * row.metrics[name]))
        best = next((row.system for row in others if row.kind != "llm"), None)
        pairs = [self._pair(row.system, name) for row in others]
        return [pair.model_copy(update={"best_non_llm": pair.b == best}) for pair in pairs]

    @cached_property
    def _systems(self) -> list[str]:
        names = dict.fromkeys(run.system for run in sorted(self.runs, key=lambda run: KINDS.index(run.kind)))
        return list(names)

    @abstractmethod
    def _row(self, system: str) -> Row: ...

    @abstractmethod
    def _pair(self, other: str, name: str) -> Pair:
        """The focus against another on that metric, not yet corrected for there being several."""

    def _runs_of(self, system: str) -> list[Run]:
        return [run for run in self.runs if run.system == system]


def combine(evaluations: Sequence[Evaluation], focus: str | None = None) -> Evaluation:
    """Several evaluations as one, so that their systems can be tested in pairs. Raises `UsageError` if they differ.

    A system that occurs in several of them (a baseline, say) is taken from the first; remarks are those of all.
    """
    first = evaluations[0]
    frames, runs, seen = [], [], set()
    for one in evaluations:
        for what in ("data_hash", "candidates_hash", "part"):
            if getattr(one, what) != getattr(first, what):
                raise UsageError(f"these evaluations differ in their {what}; only answers to the same cases compare")
        if one.protocol.metrics != first.protocol.metrics:
            raise UsageError("these evaluations have different metrics; evaluate them by one protocol")
        new = [run for run in one.runs if (run.system, run.seed) not in seen]
        seen |= {(run.system, run.seed) for run in new}
        runs += new
        frames += [one.outcomes.filter((pl.col("system") == r.system) & pl.col("seed").eq_missing(r.seed)) for r in new]
    focus = focus or evaluations[-1].focus
    if focus not in {run.system for run in runs}:
        raise UsageError(f"no system named {focus!r} to focus on; there are {', '.join(r.system for r in runs)}")
    return replace(
        first,
        outcomes=pl.concat(frames),
        runs=tuple(runs),
        focus=focus,
        seconds=sum(one.seconds for one in evaluations),
        remarks=tuple(dict.fromkeys(remark for one in evaluations for remark in one.remarks)),
    )
