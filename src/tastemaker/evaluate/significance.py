"""Per-user outcomes -> intervals and p-values: Wilson, bootstrap over users, McNemar, sign flips, Holm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
RESAMPLES = 10_000
_CHUNK = 4_000_000  # cells of the resampling matrix held at once: 32 MB
_CACHED = 250_000  # as many as stay in a core's own cache


class Interval(NamedTuple):
    """Two ends, lower first."""

    low: float
    high: float


def wilson(successes: float, n: int, confidence: float = 0.95) -> Interval:
    """Interval of a share of ``n`` yes-or-no outcomes; sensible at 0 and 1, where others have no width."""
    if n < 1:
        return Interval(0.0, 1.0)
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    share, spread = successes / n, z * z / n
    middle = share + spread / 2
    half = z * np.sqrt(share * (1 - share) / n + spread / (4 * n))
    return Interval(
        float(max(0.0, (middle - half) / (1 + spread))),
        float(min(1.0, (middle + half) / (1 + spread))),
    )


def bootstrap(
    totals: Floats, counts: Floats, rng: np.random.Generator, *, resamples: int = RESAMPLES, confidence: float = 0.95
) -> list[Interval]:
    """Percentile interval per column of ``totals`` ``[user, column]``, users drawn with all their cases.

    ``counts`` ``[user]`` is how many cases each user has; a column's estimate is total over count. A user is drawn
    or not as a whole, because the cases and candidate draws of one user are not independent.
    """
    users = len(counts)
    means = np.empty((resamples, totals.shape[1]))
    step = max(1, _CACHED // max(users, 1))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(users, size=(size, users))
        drawn += users * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * users).reshape(size, users).astype(np.float64)
        means[start : start + size] = (times @ totals) / (times @ counts)[:, None]
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def mcnemar(a: Floats, b: Floats) -> float:
    """Exact two-sided p that two systems hit equally often, from paired 0/1 outcomes ``[user]``."""
    only_a, only_b = int(np.sum(a > b)), int(np.sum(b > a))
    if only_a + only_b == 0:
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue)


def sign_flip(deltas: Floats, rng: np.random.Generator, *, resamples: int = RESAMPLES) -> float:
    """Two-sided p that paired differences ``[user]`` are as likely to point either way.

    Exact where all the sign patterns are fewer than ``resamples``; otherwise the observed pattern counts among the
    drawn ones, so the p-value is never 0.
    """
    moved = deltas[deltas != 0.0]
    if not len(moved):
        return 1.0
    far = abs(float(moved.sum())) * (1 - 1e-9)
    if 2 ** len(moved) <= resamples:
        patterns = (np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved))) & 1
        return float(np.mean(np.abs((1.0 - 2.0 * patterns) @ moved) >= far))
    as_far = 1
    step = max(1, _CHUNK // len(moved))
    for start in range(0, resamples, step):
        size = (min(step, resamples - start), len(moved))
        signs = rng.integers(2, size=size, dtype=np.int8) * np.float64(2.0) - 1.0
        as_far += int(np.sum(np.abs(signs @ moved) >= far))
    return as_far / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for there being several, in the order given (Holm's step-down)."""
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for step, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[i]))
        corrected[i] = largest
    return corrected
