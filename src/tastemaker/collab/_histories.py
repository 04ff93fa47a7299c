"""Interactions and histories -> sparse matrices of who chose what."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from scipy import sparse

from tastemaker.data.split import Split
from tastemaker.types import Query


def chosen(split: Split) -> Any:
    """Sparse ``[user, item]`` of the training data: 1 where the user ever chose the item."""
    users, items = split.train["user"].to_numpy(), split.train["item"].to_numpy()
    return _ones(users, items, (split.dataset.n_users, split.dataset.n_items))


def histories(queries: Sequence[Query], n_items: int) -> Any:
    """Sparse ``[query, item]``: 1 where the item is in the query's history; what no catalogue has is left out."""
    lengths = [len(query.history) for query in queries]
    items = np.fromiter(chain.from_iterable(query.history for query in queries), np.int64, sum(lengths))
    rows, inside = np.repeat(np.arange(len(queries)), lengths), (items >= 0) & (items < n_items)
    return _ones(rows[inside], items[inside], (len(queries), n_items))


def _ones(rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    matrix = sparse.coo_array((np.ones(len(rows), np.float32), (rows, columns)), shape=shape).tocsr()
    matrix.data[:] = 1  # what was chosen twice was added up
    return matrix
