"""Scores of judged rows -> rows, slices and pairs: metrics of whole sets, users resampled with all of theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import polars as pl

from tastemaker.evaluate import probes
from tastemaker.evaluate.evaluation import RESAMPLING_SEED, Evaluation
from tastemaker.evaluate.judged import Floats, Judged
from tastemaker.evaluate.metrics import PreferenceMetric, preference_metric
from tastemaker.evaluate.protocols import PreferenceProtocol
from tastemaker.evaluate.result import Pair, Row, Slice
from tastemaker.evaluate.significance import RESAMPLES, Interval
from tastemaker.types import BoolArray

SCHEMA: dict[str, Any] = {
    "system": pl.String,
    "seed": pl.Int32,
    "user": pl.Int32,
    "case": pl.Int32,
    "item": pl.Int32,
    "score": pl.Float32,
    "liked": pl.Boolean,
    "user_count": pl.Int32,
    "item_count": pl.Int32,
}
"""Columns of the outcomes. ``user`` is the user's number, or -1 - case for a stranger; the counts say how many train
rows the user and the item have."""
_CELLS = 2**24
"""Of the table of resamples and users that is held at a time: 128 MB."""


@dataclass(frozen=True, eq=False)
class PreferenceEvaluation(Evaluation):
    """Every case one item shown to one user, liked or not."""

    SCHEMA: ClassVar[Mapping[str, Any]] = SCHEMA
    protocol: PreferenceProtocol

    def _row(self, system: str) -> Row:
        runs, copies = self._runs_of(system), self._judged[system]
        metrics = self._metrics_of(system)
        drawn = {m.name: self._drawn(system, m.name) for m in metrics}
        by_seed = {m.name: tuple(float(m.of(copy, copy.once())[0]) for copy in copies) for m in metrics}
        return Row(
            system=system,
            kind=runs[0].kind,
            metrics=_known({name: float(np.mean(values)) for name, values in by_seed.items()}),
            ci95={name: ends for name, values in drawn.items() if (ends := _interval(values)) is not None},
            seeds=tuple(run.seed for run in runs if run.seed is not None),
            by_seed=by_seed if len(copies) > 1 else {},
            seconds_per_1000=1000.0 * sum(r.seconds for r in runs) / sum(r.recommendations for r in runs),
            slices=tuple(_slice(name, rows, copies, metrics) for name, rows in self._slices),
            calibration=probes.reliability(copies) if runs[0].probabilities else None,
            notes=runs[0].notes,
        )

    def _pair(self, other: str, name: str) -> Pair:
        found = preference_metric(name)
        ours, theirs = (self._judged[system] for system in (self.focus, other))
        a, b = (float(_mean(found, copies, copies[0].once())[0]) for copies in (ours, theirs))
        deltas = self._drawn(self.focus, name) - self._drawn(other, name)
        known = deltas[~np.isnan(deltas)]
        beyond = min((known <= 0).sum(), (known >= 0).sum()) + 1
        return Pair(
            a=self.focus,
            b=other,
            metric=name,
            delta=a - b,
            ci95=_interval(known) or Interval(a - b, a - b),
            p=float(min(1.0, 2 * beyond / (len(known) + 1))),
            test="bootstrap",
            a_mean=a,
            b_mean=b,
        )

    @cached_property
    def _metrics(self) -> list[PreferenceMetric]:
        return [preference_metric(name) for name in self.protocol.metrics]

    def _metrics_of(self, system: str) -> list[PreferenceMetric]:
        """Those that mean something for the system's scores."""
        return [m for m in self._metrics if self._runs_of(system)[0].probabilities or not m.needs_probabilities]

    @cached_property
    def _judged(self) -> dict[str, list[Judged]]:
        """By system, what each trained copy said; all of them of the same rows in the same order."""
        users = {user: at for at, user in enumerate(sorted(self.outcomes["user"].unique().to_list()))}
        found: dict[str, list[Judged]] = {}
        for run in self.runs:
            frame = self._frame(run.system, run.seed)
            numbers = np.array([users[user] for user in frame["user"]], dtype=np.int64)
            scores = frame["score"].to_numpy().astype(np.float64)
            judged = Judged(numbers, scores, frame["liked"].to_numpy(), len(users))
            found.setdefault(run.system, []).append(judged)
        return found

    def _drawn(self, system: str, name: str) -> Floats:
        """``[resample]``: the metric of the system, whichever users were drawn."""
        return self._estimates[system, name]

    @cached_property
    def _estimates(self) -> dict[tuple[str, str], Floats]:
        """``[resample]`` by system and metric: all of them from one pass over the resamples."""
        found: dict[tuple[str, str], list[Floats]] = {}
        for weights in self._weights():
            for system, copies in self._judged.items():
                for m in self._metrics_of(system):
                    found.setdefault((system, m.name), []).append(_mean(m, copies, weights))
        return {key: np.concatenate(parts) for key, parts in found.items()}

    def _weights(self) -> Iterator[Floats]:
        """``[resample, user]``: how often each user was drawn, a few resamples at a time."""
        n_users = next(iter(self._judged.values()))[0].n_users
        rng = np.random.default_rng(RESAMPLING_SEED)
        step, even = max(1, _CELLS // n_users), np.full(n_users, 1 / n_users)
        for start in range(0, RESAMPLES, step):
            yield rng.multinomial(n_users, even, size=min(step, RESAMPLES - start)).astype(np.float64)

    @cached_property
    def _slices(self) -> list[tuple[str, BoolArray]]:
        """By name, which rows are in it."""
        first = self.runs[0]
        frame = self._frame(first.system, first.seed)
        counts = {what: frame[f"{what}_count"].to_numpy() for what in ("user", "item")}
        return [found for least in self.protocol.min_train_counts for found in _warmth(counts, least)]

    def _frame(self, system: str, seed: int | None) -> pl.DataFrame:
        return self.outcomes.filter((pl.col("system") == system) & pl.col("seed").eq_missing(seed)).sort("case")


def _warmth(counts: Mapping[str, Any], least: int) -> Iterator[tuple[str, BoolArray]]:
    user, item = (np.asarray(counts[what] >= least) for what in ("user", "item"))
    yield f"warm ({least})", user & item
    yield f"cold ({least})", ~(user & item)
    yield f"warm user ({least})", user
    yield f"cold user ({least})", ~user
    yield f"warm item ({least})", item
    yield f"cold item ({least})", ~item


def _slice(name: str, rows: BoolArray, copies: list[Judged], metrics: list[PreferenceMetric]) -> Slice:
    parts = [Judged(c.users[rows], c.scores[rows], c.liked[rows], c.n_users) for c in copies]
    values = {m.name: float(_mean(m, parts, parts[0].once())[0]) for m in metrics} if rows.any() else {}
    return Slice(
        name=name,
        n=int(rows.sum()),
        users=len(np.unique(parts[0].users)),
        usable=int(parts[0].usable.sum()),
        metrics=_known(values),
    )


def _mean(metric: PreferenceMetric, copies: list[Judged], weights: Floats) -> Floats:
    """``[resample]``, the mean over the trained copies."""
    return np.asarray(np.mean([metric.of(copy, weights) for copy in copies], axis=0))


def _known(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if not np.isnan(value)}


def _interval(values: Floats) -> Interval | None:
    known = values[~np.isnan(values)]
    return Interval(*(float(end) for end in np.quantile(known, [0.025, 0.975]))) if len(known) else None
