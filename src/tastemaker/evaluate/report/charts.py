"""A Result and training logs -> positions of every dot, bar and line, ready for the template to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tastemaker.evaluate import wording
from tastemaker.evaluate.metrics import PreferenceMetric, RankMetric, Ranks, metric
from tastemaker.evaluate.report.scale import Scale, Tick, smoothed, thinned
from tastemaker.evaluate.result import Calibration, Pair, Result, Row, Slots, higher_is_better
from tastemaker.evaluate.significance import Interval, wilson


@dataclass(frozen=True)
class Mark:
    """A dot with its interval, in per cent of the axis."""

    at: float
    low: float
    high: float
    label: str


@dataclass(frozen=True)
class Forest:
    """An axis, a mark for each key and a line across, in per cent."""

    ticks: list[Tick]
    marks: dict[str, Mark]
    line: float | None
    line_label: str


def forest(result: Result) -> Forest:
    """Every row's headline metric with its interval, and the line of pure chance."""
    name = result.headline
    values = {row.system: (row.metrics[name], row.ci95.get(name)) for row in result.rows if name in row.metrics}
    chance = _chance(result)
    ends = [x for value, interval in values.values() for x in (value, *(interval or ()))]
    scale = Scale.around([*ends, *([] if chance is None else [chance])], zero=higher_is_better(name) is True)
    line = None if chance is None else scale.at(chance)
    label = "" if chance is None else f"chance {wording.number(chance)}"
    return Forest(scale.ticks, {key: _mark(scale, *value) for key, value in values.items()}, line, label)


def deltas(pairs: Sequence[Pair]) -> Forest:
    """Every paired difference with its interval, and the line of no difference."""
    scale = Scale.around([x for pair in pairs for x in (pair.delta, *pair.ci95)], zero=True)
    marks = {pair.b: _mark(scale, pair.delta, pair.ci95, sign=True) for pair in pairs}
    return Forest(scale.ticks, marks, scale.at(0.0), "no difference")


@dataclass(frozen=True)
class Panel:
    """One line chart: x runs from left to right, y from bottom to top, all in per cent."""

    title: str
    x: list[Tick]
    y: list[Tick]
    line: list[tuple[float, float]]
    faint: list[tuple[float, float]]
    """The values as they came, where ``line`` is smoothed."""
    dots: bool
    stages: list[Tick]
    """Where each stage begins."""
    summary: str


def panels(rows: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """The loss, everything that was validated, and the learning rate, each over the steps of a training log."""
    names = dict.fromkeys(name for row in rows for name, value in row.items() if _is_number(value))
    shown = [n for n in ("loss", *(n for n in names if n.startswith("valid")), "lr") if n in names]
    steps = [float(row["step"]) for row in rows if _is_number(row.get("step"))]
    if not steps:
        return []
    x = Scale.around(steps, zero=True)
    stages: dict[str, float] = {}
    for row in rows:
        if row.get("stage") is not None and _is_number(row.get("step")):
            stages.setdefault(str(row["stage"]), float(row["step"]))
    begins = [Tick(x.at(step), name) for name, step in stages.items()] if len(stages) > 1 else []
    return [_panel(name, rows, x, begins) for name in shown]


def _panel(name: str, rows: Sequence[Mapping[str, Any]], x: Scale, stages: list[Tick]) -> Panel:
    points = [(float(r["step"]), float(r[name])) for r in rows if _is_number(r.get(name)) and _is_number(r.get("step"))]
    drawn = thinned(points)
    long = name == "loss" and len(drawn) > 60
    y = Scale.around([v for _, v in drawn], zero=name == "lr", marks=4)
    best = max(points, key=lambda p: p[1]) if name != "loss" and name != "lr" else min(points, key=lambda p: p[1])
    ends = f"from {_short(points[0][1])} to {_short(points[-1][1])}"
    extreme = {"loss": "lowest", "lr": ""}.get(name, "" if "loss" in name else "highest")
    summary = f"{ends}, {extreme} {_short(best[1])} at step {best[0]:,.0f}" if extreme else ends
    line, faint = (smoothed(drawn), drawn) if long else (drawn, [])
    placed = [[(x.at(a), y.at(b)) for a, b in found] for found in (line, faint)]
    return Panel(name, x.ticks, y.ticks, placed[0], placed[1], len(drawn) <= 60, stages, summary)


@dataclass(frozen=True)
class SlotChart:
    """Hit rate and picks by position, in per cent of each axis."""

    system: str
    kind: str
    y: list[Tick]
    marks: list[Mark]
    mean: float
    picks: list[Mark]
    even: float
    """Where picks would be if position did not matter."""
    spread: str


def slot_charts(result: Result) -> list[SlotChart]:
    """One per row that was shown candidates, on one scale: the language models first."""
    rows = [(row, row.slots) for row in _llm_first(result) if row.slots is not None]
    tops = [v.high for _, slots in rows for v in _slot_intervals(slots)]
    scale = Scale.around([min(1.0, top) for top in tops], zero=True, marks=4)
    most = max((max(slots.picked) for _, slots in rows), default=1.0)
    return [_slot_chart(row, slots, scale, Scale.around([most], zero=True, marks=2)) for row, slots in rows]


def _slot_chart(row: Row, slots: Slots, scale: Scale, picks: Scale) -> SlotChart:
    total = sum(slots.n)
    mean = sum(h * n for h, n in zip(slots.hit, slots.n, strict=True)) / total
    share = [f"position {i + 1}: first in {100 * p:.1f}% of lists" for i, p in enumerate(slots.picked)]
    marks = [_mark(scale, h, ends) for h, ends in zip(slots.hit, _slot_intervals(slots), strict=True)]
    often, seldom = (f(range(len(slots.picked)), key=lambda i: slots.picked[i]) for f in (max, min))
    return SlotChart(
        system=row.system,
        kind=row.kind,
        y=scale.ticks,
        marks=[Mark(m.at, m.low, m.high, f"position {i + 1}: {m.label}") for i, m in enumerate(marks)],
        mean=scale.at(mean),
        picks=[Mark(picks.at(p), 0.0, 0.0, label) for p, label in zip(slots.picked, share, strict=True)],
        even=picks.at(1.0 / len(slots.picked)),
        spread=f"picks position {often + 1} most ({100 * slots.picked[often]:.1f}%), "
        f"position {seldom + 1} least ({100 * slots.picked[seldom]:.1f}%)",
    )


@dataclass(frozen=True)
class Reliability:
    """Confidence against hit rate; ``dots`` are (x, y, radius, label)."""

    system: str
    kind: str
    ece: str
    dots: list[tuple[float, float, float, str]]


def reliabilities(result: Result) -> list[Reliability]:
    """One per row whose scores are probabilities, the language models first."""
    return [
        Reliability(row.system, row.kind, wording.number(row.calibration.ece), _dots(row.calibration))
        for row in _llm_first(result)
        if row.calibration is not None
    ]


def _dots(calibration: Calibration) -> list[tuple[float, float, float, str]]:
    total = sum(b.n for b in calibration.bins)
    return [
        (
            round(100 * b.confidence, 2),
            round(100 * b.hit, 2),
            round(2.5 + 7.5 * float(np.sqrt(b.n / total)), 2),
            f"{b.n:,} cases: {100 * b.confidence:.0f}% sure, right in {100 * b.hit:.0f}%",
        )
        for b in calibration.bins
    ]


def _llm_first(result: Result) -> list[Row]:
    rows = [row for _, group in reversed(result.groups) for row in group]
    return sorted(rows, key=lambda row: row.system != result.focus)


def _slot_intervals(slots: Slots) -> list[Interval]:
    return [wilson(h * n, n) for h, n in zip(slots.hit, slots.n, strict=True)]


def _mark(scale: Scale, value: float, interval: Interval | None, *, sign: bool = False) -> Mark:
    low, high = interval or (value, value)
    text = wording.signed(value) if sign else wording.number(value)
    return Mark(
        scale.at(value), scale.at(low), scale.at(high), f"{text} {wording.interval(interval, sign=sign)}".strip()
    )


def _chance(result: Result) -> float | None:
    found = metric(result.headline) if higher_is_better(result.headline) is not None else None
    if isinstance(found, PreferenceMetric):
        return found.chance
    n = result.settings.get("n")
    if not isinstance(n, int) or not isinstance(found, RankMetric):
        return None
    above, tied, ranked = (np.array([value], dtype=np.int32) for value in (0, n - 1, n))
    guess = Ranks(above, tied, ranked, answered=np.ones(1, dtype=np.bool_), valid=np.ones(1, dtype=np.bool_))
    return float(found.values(guess)[0])


def _short(value: float) -> str:
    return f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:.3f}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
