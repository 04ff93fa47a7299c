"""Outcomes of every system on every case -> table rows with intervals and paired tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from tastemaker.errors import UsageError
from tastemaker.evaluate import probes, significance
from tastemaker.evaluate.metrics import Metric, metric
from tastemaker.evaluate.protocols import Protocol
from tastemaker.evaluate.ranking import ranks_of
from tastemaker.evaluate.result import Pair, Row, Run
from tastemaker.evaluate.significance import Floats, Interval
from tastemaker.evaluate.system import KINDS

_SEED = 20_240_229  # of the resampling; fixed, so that the same outcomes always give the same intervals


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Everything needed to tell the systems apart; ``outcomes`` has the columns of `ranking.SCHEMA`."""

    protocol: Protocol
    data_hash: str
    candidates_hash: str | None
    part: str
    outcomes: pl.DataFrame
    runs: tuple[Run, ...]
    focus: str
    """The system the paired tests compare with all others."""
    seconds: float

    @property
    def n(self) -> int:
        """How many cases every system was judged on."""
        return self.outcomes["case"].n_unique()

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """One per system, trivial ones first, then in the order given; every system has its row."""
        metrics = [metric(name) for name in self.protocol.metrics]
        return tuple(self._row(system, metrics) for system in self._systems)

    @cached_property
    def paired(self) -> tuple[Pair, ...]:
        """The focus against every other system on the headline metric, Holm-corrected, best rival without LLM first."""
        headline = metric(self.protocol.metrics[0])
        others = [row for row in self.rows if row.system != self.focus]
        sign = 1.0 if headline.higher_is_better else -1.0
        others.sort(key=lambda row: (row.kind == "llm", -sign * row.metrics[headline.name]))
        pairs = [self._pair(row.system, headline) for row in others]
        corrected = significance.holm([pair.p for pair in pairs])
        best = next((row.system for row in others if row.kind != "llm"), None)
        return tuple(
            pair.model_copy(update={"p_holm": p, "best_non_llm": pair.b == best})
            for pair, p in zip(pairs, corrected, strict=True)
        )

    @cached_property
    def _systems(self) -> list[str]:
        names = dict.fromkeys(run.system for run in sorted(self.runs, key=lambda run: KINDS.index(run.kind)))
        return list(names)

    def _outcomes(self, system: str, draws: Sequence[int] | None = None) -> pl.DataFrame:
        frame = self.outcomes.filter(pl.col("system") == system)
        return frame if draws is None else frame.filter(pl.col("draw").is_in(list(draws)))

    def _row(self, system: str, metrics: list[Metric]) -> Row:
        outcomes = self._outcomes(system)
        runs = [run for run in self.runs if run.system == system]
        cases = _per_case(outcomes, metrics)
        means, intervals = _summary(cases, metrics)
        recommendations = sum(run.recommendations for run in runs)
        return Row(
            system=system,
            kind=runs[0].kind,
            metrics={m.name: v for m, v in zip(metrics, means, strict=True)},
            ci95={m.name: v for m, v in zip(metrics, intervals, strict=True)},
            draws=max(run.draws for run in runs),
            seeds=tuple(run.seed for run in runs if run.seed is not None),
            by_seed=_by_seed(outcomes, metrics),
            seconds_per_1000=1000.0 * sum(run.seconds for run in runs) / recommendations,
            slots=probes.slots(outcomes),
            calibration=probes.calibration(outcomes) if runs[0].probabilities else None,
            notes=runs[0].notes,
        )

    def _pair(self, other: str, headline: Metric) -> Pair:
        draws = sorted(set(self._outcomes(self.focus)["draw"]) & set(self._outcomes(other)["draw"]))
        a, b = (_per_case(self._outcomes(name, draws), [headline]) for name in (self.focus, other))
        joined = a.join(b, on=["user", "case"], suffix="_b").with_columns(
            delta=pl.col(headline.name) - pl.col(f"{headline.name}_b")
        )
        users = joined.group_by("user").agg(pl.col("delta").sum(), cases=pl.len()).sort("user")
        deltas, counts = users["delta"].to_numpy(), users["cases"].to_numpy().astype(np.float64)
        rng = np.random.default_rng(_SEED)
        binary = all(_is_binary(frame[headline.name].to_numpy()) for frame in (a, b)) and bool((counts == 1).all())
        ours, theirs = a[headline.name].to_numpy(), b[headline.name].to_numpy()
        return Pair(
            a=self.focus,
            b=other,
            metric=headline.name,
            delta=float(deltas.sum() / counts.sum()),
            ci95=significance.bootstrap(deltas[:, None], counts, rng)[0],
            p=significance.mcnemar(ours, theirs) if binary else significance.sign_flip(deltas, rng),
            test="mcnemar" if binary else "sign-flip",
            draws=len(draws),
            a_mean=float(ours.mean()),
            b_mean=float(theirs.mean()),
            users=(int((deltas > 0).sum()), int((deltas == 0).sum()), int((deltas < 0).sum())),
        )


def combine(evaluations: Sequence[Evaluation], focus: str | None = None) -> Evaluation:
    """Several evaluations as one, so that their systems can be tested in pairs. Raises `UsageError` if they differ.

    A system that occurs in several of them (a baseline, say) is taken from the first.
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
    seconds = sum(one.seconds for one in evaluations)
    return replace(first, outcomes=pl.concat(frames), runs=tuple(runs), focus=focus, seconds=seconds)


def _per_case(outcomes: pl.DataFrame, metrics: Sequence[Metric]) -> pl.DataFrame:
    """``user, case`` and a column per metric, averaged over draws and seeds; sorted, so order never matters."""
    stand = ranks_of(outcomes)
    values = outcomes.select("user", "case").with_columns(pl.Series(m.name, m.values(stand)) for m in metrics)
    return values.group_by("user", "case").agg(pl.all().mean()).sort("user", "case")


def _summary(cases: pl.DataFrame, metrics: Sequence[Metric]) -> tuple[list[float], list[Interval]]:
    names = [m.name for m in metrics]
    users = cases.group_by("user").agg(pl.col(names).sum(), cases=pl.len()).sort("user")
    totals, counts = users.select(names).to_numpy(), users["cases"].to_numpy().astype(np.float64)
    intervals = significance.bootstrap(totals, counts, np.random.default_rng(_SEED))
    single = bool((counts == 1).all())
    for i, m in enumerate(metrics):
        if m.binary and single and _is_binary(totals[:, i]):
            intervals[i] = significance.wilson(float(totals[:, i].sum()), len(totals))
    return [float(v) for v in totals.sum(axis=0) / counts.sum()], intervals


def _by_seed(outcomes: pl.DataFrame, metrics: Sequence[Metric]) -> dict[str, tuple[float, ...]]:
    seeds = outcomes["seed"].unique(maintain_order=True).drop_nulls()
    if len(seeds) < 2:
        return {}
    means = [_per_case(outcomes.filter(pl.col("seed") == s), metrics) for s in seeds]
    return {m.name: tuple(float(np.mean(frame[m.name].to_numpy())) for frame in means) for m in metrics}


def _is_binary(values: Floats) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())
