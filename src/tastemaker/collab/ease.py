"""Item-to-item weights in closed form (EASE, Steck 2019) -> scores: the linear model that is hard to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from scipy.linalg import lapack

from tastemaker.collab._histories import chosen, histories
from tastemaker.collab.base import CollabConfig, CollaborativeModel
from tastemaker.data.split import Split
from tastemaker.errors import TrainingError, UsageError
from tastemaker.types import FloatArray, Progress, Query


class EASEConfig(CollabConfig):
    """How much the weights are held down."""

    l2: float = Field(300, gt=0)
    """In users: an item needs about so many before its weights count for much."""
    max_items: int = Field(20_000, ge=1)
    """A larger catalogue is refused: the weights are a full ``[item, item]`` matrix, 8 bytes a cell while fitting."""


class EASE(CollaborativeModel):
    """The ridge regression of every item on all the others; a history's score is the sum of its items' weights."""

    Config: ClassVar[type[CollabConfig]] = EASEConfig
    config: EASEConfig
    weights: FloatArray
    """``[item, item]``: what having chosen the first says of the second; zero on the diagonal."""

    def _fit(self, split: Split, rng: np.random.Generator, progress: Progress) -> None:
        n_items = len(self.item_counts)
        if n_items > self.config.max_items:
            raise UsageError(
                f"EASE would need {8 * n_items**2 / 1e9:.1f} GB for {n_items:,} items; "
                f"use itemknn, or raise max_items={self.config.max_items:,}"
            )
        users = chosen(split)
        precision = (users.T @ users).toarray().astype(np.float64, order="F")
        precision[np.diag_indices(n_items)] += self.config.l2
        factor, failed = lapack.dpotrf(precision, overwrite_a=1)
        if failed:
            raise TrainingError(f"EASE: the item matrix cannot be inverted; raise l2={self.config.l2:g}")
        inverse, _ = lapack.dpotri(factor, overwrite_c=1)
        inverse = np.triu(inverse) + np.triu(inverse, 1).T
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        self.weights = weights.astype(np.float32)

    def _score(self, queries: Sequence[Query]) -> FloatArray:
        scores: FloatArray = histories(queries, len(self.item_counts)) @ self.weights
        return scores

    def _state(self) -> dict[str, np.ndarray[Any, Any]]:
        return {"weights": self.weights}

    def _restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None:
        self.weights = np.asarray(state["weights"], dtype=np.float32)
