"""Which items the same users chose -> scores from each item's nearest neighbours (Deshpande and Karypis 2004)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from scipy import sparse

from tastemaker.collab._histories import chosen, histories
from tastemaker.collab._similarity import SimilarityModel
from tastemaker.collab.base import CollabConfig
from tastemaker.data.split import Split
from tastemaker.types import FloatArray, Progress, Query

BLOCK = 512
"""Items compared with the whole catalogue at a time."""


class ItemKNNConfig(CollabConfig):
    """Who is a neighbour, and how near."""

    neighbours: int = Field(50, ge=1)
    """An item is scored by so many others, those most like it."""
    shrinkage: float = Field(10, ge=0)
    """In users: the likeness of two items that few users chose counts for less."""


class ItemKNN(SimilarityModel):
    """Sums of shrunk cosines between an item and those of its nearest neighbours that are in the history."""

    Config: ClassVar[type[CollabConfig]] = ItemKNNConfig
    config: ItemKNNConfig
    similarity: Any
    """Sparse ``[item, neighbour]``, at most ``neighbours`` in a row."""
    _of_history: Any
    """Sparse ``[neighbour, item]``: the same by what a history has; to make it for each answer would take longest."""

    def _fit(self, split: Split, rng: np.random.Generator, progress: Progress) -> None:
        users, n_items = chosen(split).tocsc(), len(self.item_counts)
        parts = []
        for begin in range(0, n_items, BLOCK):
            parts.append(self._nearest(users, begin))
            progress("ItemKNN", min(begin + BLOCK, n_items), n_items)
        self.similarity = sparse.vstack(parts, format="csr")
        self._of_history = self.similarity.T.tocsr()

    def _nearest(self, users: Any, begin: int) -> Any:
        """The rows of ``similarity`` from ``begin`` on, a block of them."""
        counts = np.asarray(users.sum(axis=0), dtype=np.float32)
        together = (users[:, begin : begin + BLOCK].T @ users).toarray()
        n, k = len(together), min(self.config.neighbours, together.shape[1])
        norms = np.sqrt(counts[begin : begin + n, None] * counts) + self.config.shrinkage
        likeness = together / np.where(norms > 0, norms, 1)
        likeness[np.arange(n), begin + np.arange(n)] = 0
        nearest = np.argpartition(-likeness, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(likeness, nearest, axis=1)
        rows = np.repeat(np.arange(n), k)
        part = sparse.coo_array((found.ravel(), (rows, nearest.ravel())), shape=likeness.shape).tocsr()
        part.eliminate_zeros()
        return part.astype(np.float32)

    def _score(self, queries: Sequence[Query]) -> FloatArray:
        scores: FloatArray = (histories(queries, len(self.item_counts)) @ self._of_history).toarray()
        return scores

    def _restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None:
        super()._restore(state)
        self._of_history = self.similarity.T.tocsr()
