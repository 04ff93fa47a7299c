"""What retriever, language model and profile say of each item -> one score, by weights chosen on validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tastemaker.collab.base import CollaborativeModel
from tastemaker.data.split import Case
from tastemaker.methods._scores import standard
from tastemaker.types import BoolArray, FloatArray, IntArray

FEATURES = ("retriever", "rank", "model", "told", "match")
"""The retriever's score and minus the logarithm of its rank; the language model's score before and after it is told
the profile; how well the item matches the profile."""
GRID = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""The weights tried, in units of the retriever's score."""
_SWEEPS = 3
_CHUNK = 256


class Weights(BaseModel):
    """How much each of `FEATURES` counts. By itself it is the retriever alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    retriever: float = Field(1.0, ge=0)
    rank: float = Field(0.0, ge=0)
    model: float = Field(0.0, ge=0)
    told: float = Field(0.0, ge=0)
    match: float = Field(0.0, ge=0)

    def score(self, features: FloatArray) -> FloatArray:
        """``[..., feature, item]`` -> ``[..., item]``."""
        weights = np.array([getattr(self, name) for name in FEATURES], dtype=np.float32)
        found: FloatArray = np.einsum("f,...fi->...i", weights, features).astype(np.float32)
        return found


def features(retrieved: FloatArray, seen: BoolArray, answers: FloatArray, matches: FloatArray) -> FloatArray:
    """``[query, feature, item]`` from ``[query, read, item]`` and, all others, ``[query, item]``.

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
    found: FloatArray = np.stack(
        [standard(retrieved), -np.log1p(ranks), standard(answers[:, 0]), standard(answers[:, -1]), matches], axis=1
    ).astype(np.float32)
    return found


def gain(scores: FloatArray, at: IntArray, k: int = 10) -> float:
    """Mean NDCG@k of ``scores [case, item]`` whose right item is in column ``at [case]``; ties count against it."""
    own = np.take_along_axis(scores, at[:, None].astype(np.int64), axis=1)
    places = (scores >= own).sum(axis=1)
    return float(np.where(places <= k, 1 / np.log2(places + 1), 0).mean()) if len(at) else 0.0


def pooled(features: FloatArray, cases: Sequence[Case], n: int) -> tuple[list[FloatArray], list[int]]:
    """Of each case the ``[feature, n]`` of what the retriever proposes, and where in it the right item is.

    Cases it is not among are left out: a miss of the retriever is one whatever the weights.
    """
    pools, places = list[FloatArray](), list[int]()
    for row, case in zip(features, cases, strict=True):
        unseen = row[1].copy()
        unseen[list(case.query.history)] = -np.inf
        pool = np.argsort(-unseen, kind="stable")[: min(n, int(np.isfinite(unseen).sum()))]
        if case.positive in pool:
            pools.append(np.pad(row[:, pool], ((0, 0), (0, n - len(pool))), constant_values=-1e6))
            places.append(int(np.flatnonzero(pool == case.positive)[0]))
    return pools, places


def chosen(pools: FloatArray, at: IntArray, allowed: Sequence[str] = FEATURES) -> Weights:
    """The weights with the best NDCG@10 on ``pools [case, feature, item]``; those not ``allowed`` stay at 0.

    Starts from the retriever alone and moves one weight at a time, only ever to something better: if nothing helps,
    the retriever's order is what remains.
    """
    best, figure = Weights(), gain(Weights().score(pools), at)
    for _ in range(_SWEEPS):
        before = figure
        for name in FEATURES[1:]:
            for value in GRID if name in allowed else ():
                tried = best.model_copy(update={name: value})
                found = gain(tried.score(pools), at)
                if found > figure + 1e-9:
                    best, figure = tried, found
        if figure == before:
            break
    return best


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
