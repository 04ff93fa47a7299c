"""Outcomes -> two suspicions checked: does the position shown matter, and do the probabilities mean what they say?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from tastemaker.evaluate.judged import Floats, Judged
from tastemaker.evaluate.result import Bin, Calibration, Slots

_BINS = 10


def slots(outcomes: pl.DataFrame) -> Slots | None:
    """Per candidate position: hit rate when the positive is shown there, and how often the system picks it.

    None where no candidates were shown. A system blind to order has level lines, up to chance.
    """
    shown = outcomes.filter(pl.col("slot") >= 0)
    if shown.is_empty():
        return None
    size = int(outcomes["n"].max())  # type: ignore[arg-type]
    place, hit = shown["slot"].to_numpy(), shown["hit"].to_numpy().astype(np.float64)
    picked = shown.filter(pl.col("picked") >= 0)["picked"].to_numpy()
    n = np.bincount(place, minlength=size)
    rate = np.bincount(place, weights=hit, minlength=size) / np.maximum(n, 1)
    share = np.bincount(picked, minlength=size) / max(len(picked), 1)
    return Slots(
        n=tuple(int(v) for v in n),
        hit=tuple(float(v) for v in rate),
        picked=tuple(float(v) for v in share),
    )


def calibration(outcomes: pl.DataFrame) -> Calibration | None:
    """How sure the system was of its first choice against how often it was right, in ten bins of equal width.

    ``ece`` is the expected calibration error: the mean gap between the two, weighted by the size of the bins.
    """
    answered = outcomes.filter(pl.col("answered") & (pl.col("slot") >= 0))
    if answered.is_empty():
        return None
    sure = answered["confidence"].to_numpy().astype(np.float64)
    hit = answered["hit"].to_numpy().astype(np.float64)
    return _binned(sure, hit)


def reliability(copies: Sequence[Judged]) -> Calibration:
    """What the system gave as the probability of a like against how often it was one, in the same bins."""
    sure = np.concatenate([1.0 / (1.0 + np.exp(-copy.scores)) for copy in copies])
    return _binned(sure, np.concatenate([copy.liked for copy in copies]).astype(np.float64))


def _binned(sure: Floats, hit: Floats) -> Calibration:
    which = np.minimum((sure * _BINS).astype(np.int64), _BINS - 1)
    n = np.bincount(which, minlength=_BINS)
    mean_sure = np.bincount(which, weights=sure, minlength=_BINS) / np.maximum(n, 1)
    mean_hit = np.bincount(which, weights=hit, minlength=_BINS) / np.maximum(n, 1)
    bins = tuple(Bin(n=int(n[i]), confidence=float(mean_sure[i]), hit=float(mean_hit[i])) for i in range(_BINS) if n[i])
    return Calibration(ece=float(np.sum(n * np.abs(mean_sure - mean_hit)) / n.sum()), bins=bins)
