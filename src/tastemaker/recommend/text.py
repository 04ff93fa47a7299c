"""Vectors of what items' texts say -> a retriever that needs no interactions: items nobody has touched are found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tastemaker.collab.base import CollaborativeModel
from tastemaker.collab.rrf import reciprocal_ranks
from tastemaker.errors import UsageError
from tastemaker.types import FloatArray, Query


class TextRetriever:
    """Scores are cosines between an item's text and the texts of the history, recent ones weighing more.

    ``TextRetriever(encoder.encode(texts)).score(queries)`` is ``[query, item]``.
    """

    def __init__(self, vectors: FloatArray, *, recency: float = 0.9) -> None:
        """``vectors``: ``[item, d]``, a zero row for an item without text; ``recency``: weight of a step further back.

        Raises `UsageError` if they are not finite rows.
        """
        if vectors.ndim != 2 or not np.isfinite(vectors).all() or not 0 < recency <= 1:
            raise UsageError("text retrieval needs finite vectors [item, d] and a recency above 0, at most 1")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.vectors = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
        self.recency = recency

    def score(self, queries: Sequence[Query]) -> FloatArray:
        """``[query, item]``; all alike for a history without a known item."""
        known = range(len(self.vectors))
        tastes = np.zeros((len(queries), self.vectors.shape[1]), dtype=np.float32)
        for row, query in zip(tastes, queries, strict=True):
            history = [item for item in query.history if item in known]
            weights = self.recency ** np.arange(len(history))[::-1]
            row += (weights[:, None] * self.vectors[history]).sum(axis=0) / max(float(weights.sum()), 1e-9)
        found: FloatArray = (tastes @ self.vectors.T).astype(np.float32)
        return found

    def mixed(self, other: CollaborativeModel, queries: Sequence[Query], *, k: float = 60.0) -> FloatArray:
        """The reciprocal ranks of both: what the other has never seen still gets half a vote."""
        return reciprocal_ranks([self.score(queries), other.score(queries)], k=k)
