"""Where the positives of ranked lists stood -> rows and pairs: means over cases, users resampled with all of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from tastemaker.evaluate import probes, ranking, significance
from tastemaker.evaluate.evaluation import RESAMPLING_SEED, Evaluation
from tastemaker.evaluate.metrics import RankMetric, rank_metric
from tastemaker.evaluate.ranking import ranks_of
from tastemaker.evaluate.result import Pair, Row, Run
from tastemaker.evaluate.significance import Floats, Interval


@dataclass(frozen=True, eq=False)
class RankingEvaluation(Evaluation):
    """Every case a list of candidates and one item really chosen; over the catalogue, a question may have several."""

    SCHEMA: ClassVar[Mapping[str, Any]] = ranking.SCHEMA

    def _row(self, system: str) -> Row:
        metrics = [rank_metric(name) for name in self.protocol.metrics]
        outcomes, runs = self._outcomes(system), self._runs_of(system)
        cases = _per_case(outcomes, metrics)
        means, intervals = _summary(cases, metrics)
        recommendations = sum(run.recommendations for run in runs)
        by_seed = _by_seed(outcomes, metrics)
        return Row(
            system=system,
            kind=runs[0].kind,
            metrics={
                **{m.name: v for m, v in zip(metrics, means, strict=True)},
                **{name: float(np.mean(values)) for name, values in _breadth(runs).items()},
            },
            ci95={m.name: v for m, v in zip(metrics, intervals, strict=True)},
            draws=max(run.draws for run in runs),
            seeds=tuple(run.seed for run in runs if run.seed is not None),
            by_seed=by_seed | _breadth([run for run in runs if run.seed is not None]) if by_seed else {},
            seconds_per_1000=1000.0 * sum(run.seconds for run in runs) / recommendations,
            slots=probes.slots(outcomes),
            calibration=probes.calibration(outcomes) if runs[0].probabilities else None,
            notes=runs[0].notes,
        )

    def _pair(self, other: str, name: str) -> Pair:
        headline = rank_metric(name)
        draws = sorted(set(self._outcomes(self.focus)["draw"]) & set(self._outcomes(other)["draw"]))
        a, b = (_per_case(self._outcomes(name, draws), [headline]) for name in (self.focus, other))
        joined = a.join(b, on=["user", "case"], suffix="_b").with_columns(
            delta=pl.col(headline.name) - pl.col(f"{headline.name}_b")
        )
        users = joined.group_by("user").agg(pl.col("delta").sum(), cases=pl.len()).sort("user")
        deltas, counts = users["delta"].to_numpy(), users["cases"].to_numpy().astype(np.float64)
        rng = np.random.default_rng(RESAMPLING_SEED)
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

    def _outcomes(self, system: str, draws: Sequence[int] | None = None) -> pl.DataFrame:
        frame = self.outcomes.filter(pl.col("system") == system)
        return frame if draws is None else frame.filter(pl.col("draw").is_in(list(draws)))


def _breadth(runs: Sequence[Run]) -> dict[str, tuple[float, ...]]:
    """Of each, what all of them have: a file that was kept before lists were looked at has nothing."""
    names = [name for name in runs[0].breadth if all(name in run.breadth for run in runs)]
    return {name: tuple(run.breadth[name] for run in runs) for name in names}


def _per_case(outcomes: pl.DataFrame, metrics: Sequence[RankMetric]) -> pl.DataFrame:
    """``user, case`` and a column per metric, averaged over draws and seeds; sorted, so order never matters."""
    stand, asked = ranks_of(outcomes), ["user", "case", "seed", "draw"]
    values = outcomes.select(asked).with_columns(pl.Series(m.name, m.values(stand)) for m in metrics)
    whole = values.group_by(asked).agg(pl.all().mean(), relevant=pl.len())
    relevant = whole["relevant"].to_numpy().astype(np.float64)
    whole = whole.with_columns(pl.Series(m.name, m.of_question(whole[m.name].to_numpy(), relevant)) for m in metrics)
    return whole.group_by("user", "case").agg(pl.col(m.name for m in metrics).mean()).sort("user", "case")


def _summary(cases: pl.DataFrame, metrics: Sequence[RankMetric]) -> tuple[list[float], list[Interval]]:
    names = [m.name for m in metrics]
    users = cases.group_by("user").agg(pl.col(names).sum(), cases=pl.len()).sort("user")
    totals, counts = users.select(names).to_numpy(), users["cases"].to_numpy().astype(np.float64)
    intervals = significance.bootstrap(totals, counts, np.random.default_rng(RESAMPLING_SEED))
    single = bool((counts == 1).all())
    for i, m in enumerate(metrics):
        if m.binary and single and _is_binary(totals[:, i]):
            intervals[i] = significance.wilson(float(totals[:, i].sum()), len(totals))
    return [float(v) for v in totals.sum(axis=0) / counts.sum()], intervals


def _by_seed(outcomes: pl.DataFrame, metrics: Sequence[RankMetric]) -> dict[str, tuple[float, ...]]:
    seeds = outcomes["seed"].unique(maintain_order=True).drop_nulls()
    if len(seeds) < 2:
        return {}
    means = [_per_case(outcomes.filter(pl.col("seed") == s), metrics) for s in seeds]
    return {m.name: tuple(float(np.mean(frame[m.name].to_numpy())) for frame in means) for m in metrics}


def _is_binary(values: Floats) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())
