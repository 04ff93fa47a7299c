"""Training data -> item vectors a network can start from, so that it need not find out who is near whom."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import eigsh

from tastemaker.collab.cooccurrence import Cooccurrence
from tastemaker.data.split import Split
from tastemaker.types import FloatArray


def cooccurrence_vectors(split: Split, size: int, rng: np.random.Generator) -> FloatArray:
    """``[item, size]``, unit rows: the leading eigenvectors of windowed item co-occurrence, each scaled by its weight.

    Where the data says nothing (an item without neighbours, more columns than items) the vectors are random and short.
    """
    similarity = Cooccurrence().fit(split).similarity.astype(np.float64)
    n_items = similarity.shape[0]
    if n_items < 4 * size:
        values, vectors = np.linalg.eigh(similarity.toarray())
    else:
        values, vectors = eigsh(similarity, k=size, v0=np.ones(n_items))
    leading = np.argsort(values)[::-1][:size]
    scaled = vectors[:, leading] * np.sqrt(values[leading].clip(min=0))
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    placed = np.zeros((n_items, size))
    placed[:, : len(leading)] = scaled / np.where(norms > 1e-6, norms, 1)
    random = rng.normal(scale=0.02, size=placed.shape)
    return np.where(placed == 0, random, placed).astype(np.float32)
