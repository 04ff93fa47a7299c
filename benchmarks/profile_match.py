"""A retriever's best items -> the same in another order, by how well they match the counted profile: PALR without LLM.

What PALR's fusion would choose if the language model said nothing; what the language model adds is what PALR has more.
With another collaborative model in its place, it shows how much of that any second opinion would have added.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.rerank import on_top
from tastemaker.collab.base import CollaborativeModel
from tastemaker.data import Split
from tastemaker.methods._palr_fusion import Weights, chosen, features, pooled, proposed
from tastemaker.methods._palr_profile import Keywords
from tastemaker.types import FloatArray, Query

CHUNK = 256
HEARD = ("retriever", "rank", "popularity", "match")


class ProfileMatch:
    """Retriever, rank, profile match and ``second``, with weights chosen on validation as PALR's are."""

    def __init__(self, retriever: CollaborativeModel, n: int = 50, *, second: CollaborativeModel | None = None) -> None:
        self.retriever, self.n, self.second, self.weights = retriever, n, second, Weights()

    def fit(self, split: Split) -> ProfileMatch:
        """The same, with the best weights for what the retriever proposes on validation."""
        self.keywords = Keywords(split.dataset)
        pools, places = list[FloatArray](), list[int]()
        for start in range(0, len(split.valid), CHUNK):
            cases = split.valid[start : start + CHUNK]
            found = pooled(self._features([case.query for case in cases]), cases, self.n)
            pools += found[0]
            places += found[1]
        heard = HEARD if self.second is None else (*HEARD, "model")
        self.weights = chosen(np.array(pools, np.float32), np.array(places, np.int32), heard) if pools else Weights()
        return self

    def score(self, queries: Sequence[Query]) -> list[FloatArray]:
        """One array over the catalogue per query: the proposed in the new order, the others below in the old."""
        found: list[FloatArray] = []
        for start in range(0, len(queries), CHUNK):
            some = queries[start : start + CHUNK]
            for query, table in zip(some, self._features(some), strict=True):
                pool = proposed(table[0], query.history, self.n)
                found.append(on_top(table[0], pool, self.weights.score(table)[pool]))
        return found

    def _features(self, queries: Sequence[Query]) -> FloatArray:
        scores = self.retriever.score(queries)
        seen = np.zeros(scores.shape, dtype=np.bool_)
        for row, query in zip(seen, queries, strict=True):
            row[list(query.history)] = True
        silent = np.zeros(scores.shape, np.float32)
        said = np.stack([silent if self.second is None else self.second.score(queries), silent], axis=1)
        popularity = np.log1p(self.retriever.item_counts)
        return features(scores, seen, popularity, said, self.keywords.matches([query.history for query in queries]))
