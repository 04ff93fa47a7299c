"""Scores and the positive's position -> where the positive stands: one row of outcomes per case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tastemaker.errors import UsageError
from tastemaker.evaluate.metrics import Ranks
from tastemaker.types import BoolArray, FloatArray, IntArray

Outcomes = dict[str, npt.NDArray[Any]]
SCHEMA: dict[str, Any] = {
    "system": pl.String,
    "seed": pl.Int32,
    "user": pl.Int32,
    "case": pl.Int32,
    "draw": pl.Int16,
    "slot": pl.Int16,
    "rank": pl.Float32,
    "hit": pl.Float32,
    "above": pl.Int32,
    "tied": pl.Int32,
    "n": pl.Int32,
    "answered": pl.Boolean,
    "valid": pl.Boolean,
    "picked": pl.Int16,
    "confidence": pl.Float32,
}
"""Columns of the outcomes: a row for each right answer, ``case`` numbers the questions. ``user`` is the user's number,
or -1 - case for a stranger. ``slot`` is where the positive was shown, ``picked`` where the top item was (-1: nowhere,
or a tie for first); both count from 0. ``rank`` is the mean place of the positive over its ties, ``hit`` the chance
that it comes first."""


def place(scores: FloatArray, positives: IntArray, allowed: BoolArray | None = None) -> Outcomes:
    """The outcome columns of a batch, from ``scores [case, item]`` and ``positives [case]``, a column of each row.

    Items that ``allowed [case, item]`` rules out do not compete.
    """
    rows = np.arange(len(scores))
    answered: BoolArray = ~np.asarray(np.isnan(scores).all(axis=1))
    values = scores if answered.all() else np.where(answered[:, None], scores, 0)
    allowed = np.ones(scores.shape, dtype=np.bool_) if allowed is None else allowed
    own = values[rows, positives][:, None]
    above = np.count_nonzero((values > own) & allowed, axis=1).astype(np.int32)
    tied = np.count_nonzero((values == own) & allowed, axis=1).astype(np.int32) - 1
    competing = np.where(allowed, values, -np.inf)
    top = competing.max(axis=1, keepdims=True)
    alone = answered & (np.count_nonzero(competing == top, axis=1) == 1)
    n = np.count_nonzero(allowed, axis=1).astype(np.int32)
    return {
        "slot": positives,
        "above": above,
        "tied": tied,
        "n": n,
        "answered": answered,
        "rank": np.where(answered, 1.0 + above + tied / 2.0, n),
        "hit": np.where(answered & (above == 0), 1.0 / (tied + 1), 0.0),
        "picked": np.where(alone, competing.argmax(axis=1), -1),
        "confidence": np.where(answered, _top_share(competing, top), 0.0),
    }


def ranks_of(outcomes: Outcomes | pl.DataFrame) -> Ranks:
    """The outcomes as what metrics read."""
    return Ranks(*(np.asarray(outcomes[column]) for column in ("above", "tied", "n", "answered", "valid")))


def stacked(scores: Sequence[FloatArray], system: str) -> FloatArray:
    """``[case, n]``, checked: numbers or minus infinity, or a whole row of NaN."""
    table = np.stack([np.asarray(row) for row in scores])
    unclear = np.isnan(table).any(axis=1) & ~np.isnan(table).all(axis=1)
    if unclear.any() or np.isposinf(table).any():
        raise UsageError(f"system {system!r} gave NaN or infinite scores; only a whole row of NaN means 'no answer'")
    return table


def _top_share(competing: FloatArray, top: FloatArray) -> npt.NDArray[np.float64]:
    base = np.where(np.isfinite(top), top, 0.0)
    apart = np.subtract(competing, base, dtype=np.float64)
    total = np.exp(apart, out=apart).sum(axis=1)
    return np.where(total > 0, 1.0 / np.maximum(total, 1.0), 0.0)
