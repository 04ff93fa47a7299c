"""Items and how alike they are -> what models of items beside items keep: one sparse matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from tastemaker.collab.base import CollaborativeModel

_PARTS = ("data", "indices", "indptr")


class SimilarityModel(CollaborativeModel):
    """All that is learned is ``similarity``. A subclass writes ``_fit`` and ``_score``."""

    similarity: Any
    """Sparse ``[item, item]``."""

    def _state(self) -> dict[str, np.ndarray[Any, Any]]:
        return {name: getattr(self.similarity, name) for name in _PARTS}

    def _restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None:
        parts = (np.array(state[name]) for name in _PARTS)
        n_items = len(self.item_counts)
        self.similarity = sparse.csr_array(tuple(parts), shape=(n_items, n_items))
        self.similarity.check_format(full_check=True)  # an index out of range would be read unchecked
