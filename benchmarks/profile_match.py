"""A retriever's best items -> the same in another order, by how well they match the counted profile: PALR without LLM.

What PALR's fusion would choose if the language model said nothing; what the language model adds is what PALR has more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tastemaker.collab.base import CollaborativeModel
from tastemaker.data import Split
from tastemaker.methods._palr_fusion import Weights, chosen, features, pooled
from tastemaker.methods._palr_profile import Keywords
from tastemaker.types import FloatArray, Query

CHUNK = 256
HEARD = ("retriever", "rank", "match")


class ProfileMatch:
    """Retriever, rank and profile match, with weights chosen on validation as PALR's are."""

    def __init__(self, retriever: CollaborativeModel, n: int = 50) -> None:
        self.retriever, self.n, self.weights = retriever, n, Weights()

    def fit(self, split: Split) -> ProfileMatch:
        """The same, with the best weights for what the retriever proposes on validation."""
        self.keywords = Keywords(split.dataset)
        pools, places = list[FloatArray](), list[int]()
        for start in range(0, len(split.valid), CHUNK):
            cases = split.valid[start : start + CHUNK]
            found = pooled(self._features([case.query for case in cases]), cases, self.n)
            pools += found[0]
            places += found[1]
        self.weights = chosen(np.array(pools, np.float32), np.array(places, np.int32), HEARD) if pools else Weights()
        return self

    def score(self, queries: Sequence[Query]) -> list[FloatArray]:
        """One array over the catalogue per query."""
        found: list[FloatArray] = []
        for start in range(0, len(queries), CHUNK):
            found += list(self.weights.score(self._features(queries[start : start + CHUNK])))
        return found

    def _features(self, queries: Sequence[Query]) -> FloatArray:
        scores = self.retriever.score(queries)
        seen = np.zeros(scores.shape, dtype=np.bool_)
        for row, query in zip(seen, queries, strict=True):
            row[list(query.history)] = True
        silent = np.zeros((len(queries), 2, scores.shape[1]), np.float32)
        return features(scores, seen, silent, self.keywords.matches([query.history for query in queries]))
