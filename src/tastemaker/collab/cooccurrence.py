"""Which items stand near each other in histories -> scores for the next one: strong, and trained in no time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from scipy import sparse

from tastemaker.collab._similarity import SimilarityModel
from tastemaker.collab.base import CollabConfig
from tastemaker.data.split import Split
from tastemaker.types import FloatArray, Progress, Query


class CooccurrenceConfig(CollabConfig):
    """What counts as near, and how much the past weighs."""

    window: int = Field(10, ge=1)
    """Two items of one user co-occur when at most this many steps apart."""
    recency: float = Field(0.8, gt=0, le=1)
    """Each step back in the history weighs this much of the step after it."""


class Cooccurrence(SimilarityModel):
    """Recency-weighted sums of item-to-item cosines over the history."""

    Config: ClassVar[type[CollabConfig]] = CooccurrenceConfig
    config: CooccurrenceConfig
    similarity: Any
    """Sparse ``[item, item]``: co-occurrences / sqrt(count * count)."""

    def _fit(self, split: Split, rng: np.random.Generator, progress: Progress) -> None:
        items, users = split.train["item"].to_numpy(), split.train["user"].to_numpy()
        n_items = len(self.item_counts)
        together = sparse.csr_array((n_items, n_items), dtype=np.float32)
        for apart in range(1, self.config.window + 1):
            same = users[apart:] == users[:-apart]
            pair = items[:-apart][same], items[apart:][same]
            together += sparse.coo_array((np.ones(len(pair[0]), np.float32), pair), shape=together.shape).tocsr()
            progress("Cooccurrence", apart, self.config.window)
        together = (together + together.T).tocsr()
        together.setdiag(0)
        together.eliminate_zeros()
        scale = sparse.diags_array((1 / np.sqrt(self.item_counts.clip(min=1))).astype(np.float32))
        self.similarity = (scale @ together @ scale).tocsr()

    def _score(self, queries: Sequence[Query]) -> FloatArray:
        lengths = [len(query.history) for query in queries]
        back = np.concatenate([np.arange(length)[::-1] for length in lengths])
        where = np.repeat(np.arange(len(queries)), lengths), np.concatenate([query.history for query in queries])
        weight = (self.config.recency**back).astype(np.float32)
        histories = sparse.coo_array((weight, where), shape=(len(queries), len(self.item_counts))).tocsr()
        scores: FloatArray = (histories @ self.similarity).toarray().astype(np.float32)
        return scores
