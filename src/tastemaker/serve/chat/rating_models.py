"""Ratings -> what three plain models say of a user and an item: biases, factors and neighbours, in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tastemaker.types import IntArray

Doubles = npt.NDArray[np.float64]
DAMPING = 5.0
"""Ratings at the mean that everyone is given beforehand."""
FACTORS, RIDGE, SWEEPS = 20, 15.0, 8
"""Length of the vectors, what holds them down, and how often each side is solved for."""
NEAREST, SHRINKAGE, DOUBT = 100, 100.0, 0.3
"""Neighbours of an item, how many users in common make two items neighbours, and how little few neighbours say."""
_BLOCK = 512


def biases(user: IntArray, item: IntArray, rest: Doubles, n_users: int, n_items: int) -> tuple[Doubles, Doubles]:
    """``[user]`` and ``[item]``: what each adds to the mean, found in turns; ``rest`` is ratings less the mean."""
    users, items = np.zeros(n_users), np.zeros(n_items)
    for _ in range(10):
        items = _damped(item, rest - users[user], n_items)
        users = _damped(user, rest - items[item], n_users)
    return users, items


def factors(rest: Any, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
    """``[user, d]`` and ``[item, d]`` whose products are near the sparse ``[user, item]``: least squares, in turns."""
    by_user, by_item = rest.tocsr(), rest.T.tocsr()
    items = rng.normal(0, 0.1, (rest.shape[1], FACTORS))
    for _ in range(SWEEPS):
        users = _solved(by_user, items)
        items = _solved(by_item, users)
    return users, items


def neighbours(rest: Any) -> Any:
    """Sparse ``[item, item]``: shrunk cosines of what users in common thought, the nearest that are alike."""
    columns = rest.tocsc()
    asked, squares = columns.copy(), columns.copy()
    asked.data = np.ones_like(asked.data)
    squares.data = squares.data**2
    parts = []
    for begin in range(0, rest.shape[1], _BLOCK):
        block = slice(begin, begin + _BLOCK)
        product = (columns[:, block].T @ columns).toarray()
        together = (asked[:, block].T @ asked).toarray()
        norms = np.sqrt((squares[:, block].T @ asked).toarray() * (asked[:, block].T @ squares).toarray())
        alike = np.divide(product, norms, out=np.zeros_like(product), where=norms > 0)
        alike *= together / (together + SHRINKAGE)
        alike[np.arange(len(alike)), begin + np.arange(len(alike))] = 0
        last = alike.shape[1] - min(NEAREST, alike.shape[1])
        alike[alike < np.partition(alike, last, axis=1)[:, last, None]] = 0
        parts.append(sparse.csr_array(alike.clip(min=0)))
    return sparse.vstack(parts, format="csr").astype(np.float32)


def by_neighbours(rest: Any, near: Any, user: IntArray, item: IntArray) -> Doubles:
    """``[pair]``: the mean of what each user thought of the item's neighbours, the nearer the more."""
    theirs, alike = rest[user], near[item]
    rated = theirs.copy()
    rated.data = np.ones_like(rated.data)
    total = np.asarray(alike.multiply(theirs).sum(axis=1), dtype=np.float64).ravel()
    weight = np.asarray(alike.multiply(rated).sum(axis=1), dtype=np.float64).ravel()
    return total / (DOUBT + weight)


def _damped(index: IntArray, values: Doubles, size: int) -> Doubles:
    means: Doubles = np.bincount(index, values, size) / (DAMPING + np.bincount(index, minlength=size))
    return means


def _solved(rest: Any, other: Doubles) -> Doubles:
    """``[row, d]``: each row's ridge regression on the vectors of what it has."""
    found = np.zeros((rest.shape[0], FACTORS))
    for row, (begin, end) in enumerate(zip(rest.indptr[:-1], rest.indptr[1:], strict=True)):
        if begin < end:
            seen = other[rest.indices[begin:end]]
            held = seen.T @ seen + RIDGE * np.eye(FACTORS)
            found[row] = np.linalg.solve(held, seen.T @ rest.data[begin:end])
    return found
