"""What a language model says and what counting says -> one log-odds, by weights learned on validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict
from scipy.special import expit
from scipy.stats import rankdata

from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.types import BoolArray, FloatArray, IntArray, Query

Floats = npt.NDArray[np.float64]
RIDGE = 1.0
"""How many standardised units of evidence hold a weight at nothing."""
ROUNDS = 50


class Fusion(BaseModel):
    """A logistic regression over the method's own log-odds and those of its witnesses; by itself, the own alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: tuple[float, ...] = (1.0,)
    """Of the own log-odds first, then of each witness."""
    offset: float = 0.0

    def score(self, features: FloatArray) -> FloatArray:
        """``[row, feature]`` -> ``[row]``."""
        found: FloatArray = (features @ np.array(self.weights) + self.offset).astype(np.float32)
        return found


def learned(features: FloatArray, liked: BoolArray) -> Fusion:
    """The weights under which the labels are most likely, held back a little and never below nothing.

    Log-odds that speak against the labels are not believed the other way round: they are left out. The own alone
    where all are, or where there is one kind of label.
    """
    kept = list(range(features.shape[1])) if liked.any() and not liked.all() else []
    while kept:
        found = _unconstrained(features[:, kept], liked)
        worst = int(np.argmin(found.weights))
        if found.weights[worst] >= 0:
            weights = np.zeros(features.shape[1])
            weights[kept] = found.weights
            return Fusion(weights=tuple(weights.tolist()), offset=found.offset)
        del kept[worst]
    return alone(features.shape[1] - 1)


def alone(n_witnesses: int) -> Fusion:
    """The own log-odds and nothing else."""
    return Fusion(weights=(1.0, *(0.0,) * n_witnesses))


def _unconstrained(features: FloatArray, liked: BoolArray) -> Fusion:
    table = features.astype(np.float64)
    mean, deviation = table.mean(axis=0), table.std(axis=0)
    deviation = np.where(deviation > 1e-9, deviation, 1.0)
    rows = np.column_stack([(table - mean) / deviation, np.ones(len(table))])
    weights = _newton(rows, liked.astype(np.float64))
    scaled = weights[:-1] / deviation
    return Fusion(weights=tuple(scaled.tolist()), offset=float(weights[-1] - scaled @ mean))


def told(witnesses: Sequence[PointwiseModel], queries: Sequence[Query], own: Sequence[FloatArray]) -> FloatArray:
    """``[row, feature]``: the own log-odds of every candidate of every query, and what each witness says of it."""
    columns = [own, *(witness.score(queries) for witness in witnesses)]
    flat = [np.concatenate([np.zeros(0, np.float32), *column]) for column in columns]
    return np.stack(flat, axis=1).astype(np.float32)


def figure(scores: FloatArray, liked: BoolArray, users: IntArray) -> float:
    """The mean of AUC over all rows and AUC within users, of those that mean something: what validation goes by."""
    by_user = [_auc(scores[rows], liked[rows]) for rows in _groups(users)]
    within = [value for value in by_user if value is not None]
    whole = _auc(scores, liked)
    return float(np.mean([value for value in (whole, np.mean(within) if within else None) if value is not None] or [0]))


def _groups(users: IntArray) -> list[IntArray]:
    order = np.argsort(users, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(users[order])) + 1)


def _auc(scores: FloatArray, liked: BoolArray) -> float | None:
    """None where all rows are of one kind."""
    n = int(liked.sum())
    if n in (0, len(liked)):
        return None
    return float((rankdata(scores)[liked].sum() - n * (n + 1) / 2) / (n * (len(liked) - n)))


def _newton(rows: Floats, liked: Floats) -> Floats:
    """The weights of a ridge logistic regression; the last one, of the constant, is free."""
    held = np.full(rows.shape[1], RIDGE)
    held[-1] = 1e-6
    weights = np.zeros(rows.shape[1])
    for _ in range(ROUNDS):
        chance = expit(rows @ weights)
        slope = rows.T @ (chance - liked) + held * weights
        curve = (rows * (chance * (1 - chance))[:, None]).T @ rows + np.diag(held)
        step = np.linalg.solve(curve, slope)
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    return weights
