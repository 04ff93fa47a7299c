"""Values -> positions on an axis, with round numbers to mark it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tastemaker.evaluate import wording


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    """Per cent of the axis."""
    label: str


@dataclass(frozen=True)
class Scale:
    """An axis from ``low`` to ``high``."""

    low: float
    high: float
    step: float

    @classmethod
    def around(cls, values: Iterable[float], *, zero: bool = False, marks: int = 5) -> Scale:
        """An axis that holds all the values, and zero if asked, with about ``marks`` round numbers."""
        known = [v for v in values if math.isfinite(v)] + ([0.0] if zero else [])
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        if high - low < 1e-9:
            low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
        raw = (high - low) / marks
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= raw * 0.999)
        return cls(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step)

    def at(self, value: float) -> float:
        """Per cent of the axis, kept inside it."""
        share = (value - self.low) / (self.high - self.low)
        return round(100.0 * min(1.0, max(0.0, share)), 2)

    @property
    def ticks(self) -> list[Tick]:
        """The round numbers from end to end."""
        n = round((self.high - self.low) / self.step)
        values = [self.low + i * self.step for i in range(n + 1)]
        return [Tick(self.at(v), _label(v, self.step)) for v in values]


def thinned(points: Sequence[tuple[float, float]], most: int = 300) -> list[tuple[float, float]]:
    """At most ``most`` points: the means of equal runs of neighbours."""
    size = -(-len(points) // most)
    if size <= 1:
        return list(points)
    runs = (points[i : i + size] for i in range(0, len(points), size))
    return [(sum(x for x, _ in run) / len(run), sum(y for _, y in run) / len(run)) for run in runs]


def smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Each value as the mean of its neighbourhood, a twentieth of the curve to either side."""
    reach = len(points) // 20
    values = [y for _, y in points]
    means = (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))
    return [(x, sum(near) / len(near)) for (x, _), near in zip(points, means, strict=True)]


def _label(value: float, step: float) -> str:
    if abs(value) < step / 1e6:
        return "0"
    if step < 1e-3:
        digits, power = f"{value:.1e}".split("e")
        return f"{digits.removesuffix('.0')}e{int(power)}".replace("-", wording.MINUS)
    decimals = max(0, min(6, -math.floor(math.log10(step) + 1e-9) + (1 if _needs_digit(step) else 0)))
    return f"{value:,.{decimals}f}".replace("-", wording.MINUS)


def _needs_digit(step: float) -> bool:
    return round(step / 10.0 ** math.floor(math.log10(step) + 1e-9), 6) == 2.5
