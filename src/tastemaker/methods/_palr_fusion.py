"""What retriever, language model and profile say of each item -> one score, by weights learned on validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from tastemaker.collab.base import CollaborativeModel
from tastemaker.data.split import Case
from tastemaker.types import BoolArray, FloatArray, IntArray

Floats = npt.NDArray[np.float64]
FEATURES = ("retriever", "rank", "popularity", "model", "told", "match")
"""The retriever's score and minus the logarithm of its rank; the logarithm of how often the item was chosen; the
language model's log-probability before and after it is told the profile; how well the item matches the profile."""
EITHER_WAY = frozenset({"popularity"})
"""What may speak against an item as well: a retriever can believe too much in what is popular, or too little."""
RIDGE = 1.0
"""How many standardised units of evidence hold a weight at nothing."""
_CHUNK = 256


class Weights(BaseModel):
    """How much each of `FEATURES` counts. By itself it is the retriever alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    retriever: float = Field(1.0, ge=0)
    rank: float = Field(0.0, ge=0)
    popularity: float = 0.0
    model: float = Field(0.0, ge=0)
    told: float = Field(0.0, ge=0)
    match: float = Field(0.0, ge=0)

    def score(self, features: FloatArray) -> FloatArray:
        """``[..., feature, item]`` -> ``[..., item]``."""
        weights = np.array([getattr(self, name) for name in FEATURES], dtype=np.float32)
        found: FloatArray = np.einsum("f,...fi->...i", weights, features).astype(np.float32)
        return found


def features(
    retrieved: FloatArray, seen: BoolArray, popularity: FloatArray, answers: FloatArray, matches: FloatArray
) -> FloatArray:
    """``[query, feature, item]`` from popularity ``[item]``, answers ``[query, read, item]``, others ``[query, item]``.

    A rank counts the items that are not ``seen`` and score higher: what is level for the retriever has one rank.
    """
    order = np.argsort(-retrieved, axis=1, kind="stable")
    level = np.take_along_axis(retrieved, order, axis=1)
    new = np.take_along_axis(~seen, order, axis=1)
    changes = np.diff(level, axis=1, prepend=np.inf) < 0
    starts = np.maximum.accumulate(np.where(changes, np.arange(level.shape[1])[None], 0), axis=1)
    above: IntArray = np.take_along_axis(np.cumsum(new, axis=1) - new, starts, axis=1)
    ranks = np.empty(retrieved.shape, np.float32)
    np.put_along_axis(ranks, order, above.astype(np.float32), axis=1)
    often = np.broadcast_to(popularity, retrieved.shape)
    columns = [retrieved, -np.log1p(ranks), often, answers[:, 0], answers[:, -1], matches]
    found: FloatArray = np.stack(columns, axis=1).astype(np.float32)
    return found


def gain(scores: FloatArray, at: IntArray, k: int = 10) -> float:
    """Mean NDCG@k of ``scores [case, item]`` whose right item is in column ``at [case]``; ties count against it."""
    own = np.take_along_axis(scores, at[:, None].astype(np.int64), axis=1)
    places = (scores >= own).sum(axis=1)
    return float(np.where(places <= k, 1 / np.log2(places + 1), 0).mean()) if len(at) else 0.0


def proposed(retrieved: FloatArray, history: Sequence[int], n: int) -> IntArray:
    """The ``n`` items that are best by ``retrieved [item]`` and not in the history, fewer where there are fewer."""
    unseen = retrieved.copy()
    unseen[list(history)] = -np.inf
    return np.argsort(-unseen, kind="stable")[: min(n, int(np.isfinite(unseen).sum()))].astype(np.int32)


def pooled(features: FloatArray, cases: Sequence[Case], n: int) -> tuple[list[FloatArray], list[int]]:
    """Of each case the ``[feature, n]`` of what the retriever proposes, and where in it the right item is.

    Where fewer than ``n`` are proposed the rest is NaN. Cases whose right item is not among them are left out: a miss
    of the retriever is one whatever the weights.
    """
    pools, places = list[FloatArray](), list[int]()
    for row, case in zip(features, cases, strict=True):
        pool = proposed(row[0], case.query.history, n)
        if case.positive in pool:
            pools.append(np.pad(row[:, pool], ((0, 0), (0, n - len(pool))), constant_values=np.nan))
            places.append(int(np.flatnonzero(pool == case.positive)[0]))
    return pools, places


def chosen(pools: FloatArray, at: IntArray, allowed: Sequence[str] = FEATURES) -> Weights:
    """The weights under which the right items of ``pools [case, feature, item]`` are most likely, held back a little.

    A conditional logit (McFadden 1974): the right item is one draw from the softmax of its case's scores. What is not
    ``allowed`` is not heard, and what speaks against the right items is not believed the other way round. If NDCG@10 is
    not better than the retriever's, its order is what remains.
    """
    names = [name for name in FEATURES if name in allowed]
    likely = _likeliest(pools[:, [FEATURES.index(name) for name in names]], at, [name in EITHER_WAY for name in names])
    found = Weights(**{**dict.fromkeys(FEATURES, 0.0), **dict(zip(names, likely, strict=True))})
    return found if gain(found.score(pools), at) > gain(Weights().score(pools), at) else Weights()


def _likeliest(pools: FloatArray, at: IntArray, either_way: Sequence[bool]) -> list[float]:
    """Of each feature the weight with the highest conditional likelihood, below 0 only where it may be."""
    table = pools.astype(np.float64)
    there = ~np.isnan(table[:, 0])
    table = np.where(there[:, None], table - np.nanmean(table, axis=2, keepdims=True), 0.0)
    deviation = np.sqrt((table**2).sum(axis=(0, 2)) / there.sum())
    deviation = np.where(deviation > 1e-9, deviation, 1.0)
    table /= deviation[:, None]
    own = np.take_along_axis(table, at[:, None, None].astype(np.int64), axis=2)[:, :, 0]

    def unlikely(weights: Floats) -> tuple[float, Floats]:
        scores = np.where(there, np.einsum("f,cfi->ci", weights, table), -np.inf)
        loss = (logsumexp(scores, axis=1) - own @ weights).sum() + RIDGE / 2 * weights @ weights
        expected = np.einsum("ci,cfi->f", softmax(scores, axis=1), table)
        return float(loss), expected - own.sum(axis=0) + RIDGE * weights

    bounds = [(None if either else 0.0, None) for either in either_way]
    best = minimize(unlikely, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds)
    found: list[float] = (best.x / deviation).tolist()
    return found


def retrieval_ceiling(retriever: CollaborativeModel, cases: Sequence[Case], n: int) -> float:
    """The share of cases whose right item is among the retriever's best ``n`` that the user has not seen."""
    hits = 0
    for start in range(0, len(cases), _CHUNK):
        some = cases[start : start + _CHUNK]
        for row, case in zip(retriever.score([case.query for case in some]), some, strict=True):
            own = row[case.positive]
            row[list(case.query.history)] = -np.inf
            hits += int((row >= own).sum() - (case.positive not in case.query.history) < n)
    return hits / max(1, len(cases))
