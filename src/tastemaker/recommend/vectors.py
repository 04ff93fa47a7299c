"""A recommender -> the vectors of items and of users that the collaborative model under it has learned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from tastemaker.collab.base import CollaborativeModel
from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.recommend.recommender import Recommender
from tastemaker.types import FloatArray

VECTOR = "vector"


def lender(recommender: Recommender) -> CollaborativeModel | PointwiseModel:
    """The model whose vectors they are: the one that the ranker reads, else the retriever."""
    found: CollaborativeModel | PointwiseModel = getattr(recommender.ranker, "collab", recommender.retriever)
    return found


def item_embeddings(recommender: Recommender) -> pl.DataFrame:
    """``item_id, title, vector`` of each item that training knew. Raises `UsageError` if there are no vectors."""
    data = recommender.data
    return _known({"item_id": data.items["item_id"].to_list(), "title": data.titles}, lender(recommender).item_vectors)


def user_embeddings(recommender: Recommender) -> pl.DataFrame:
    """``user_id, vector`` of each user something is known of. Raises `UsageError` if there are no vectors."""
    ids = recommender.data.users["user_id"].to_list()
    return _known({"user_id": ids}, lender(recommender).user_vectors([recommender.query(user=one) for one in ids]))


def _known(names: dict[str, Sequence[str]], vectors: FloatArray) -> pl.DataFrame:
    """A row for each vector that is not zero, which is what models give where they know nothing."""
    known = np.flatnonzero(vectors.any(axis=1))
    columns = {name: pl.Series(of, dtype=pl.String)[known] for name, of in names.items()}
    return pl.DataFrame(columns).with_columns(
        pl.Series(VECTOR, vectors[known], dtype=pl.Array(pl.Float32, vectors.shape[1]))
    )
