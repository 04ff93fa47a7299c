"""What every collaborative model offers: fit on a split, score queries, lend its item vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from tastemaker.data.split import Split
from tastemaker.types import BoolArray, FloatArray, Progress, Query, quiet


class CollabConfig(BaseModel):
    """Settings of a collaborative model; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CollaborativeModel(ABC):
    """Scores for every item of the catalogue, learned from interactions alone.

    ``SASRec(embedding_size=64).fit(split).score(queries)`` is ``[query, item]``, higher is better.
    A subclass sets ``Config`` and writes ``_fit``, ``_score``, ``state`` and ``restore``.
    """

    Config: ClassVar[type[CollabConfig]] = CollabConfig
    config: CollabConfig
    known_items: BoolArray
    """``[item]``: True where training data had the item. Set by ``_fit``."""

    def __init__(self, config: CollabConfig | None = None, **settings: Any) -> None:
        """Take a ready config, or settings from which to make one, never both."""

    def fit(self, split: Split, *, seed: int = 0, progress: Progress = quiet) -> Self:
        """The same model, trained on ``split.train`` (early stopping on ``split.valid`` where it trains)."""

    def score(self, queries: Sequence[Query]) -> FloatArray:
        """``[query, item]`` over the whole catalogue; unknown history items are skipped. Raises `NotFittedError`."""

    def score_candidates(self, queries: Sequence[Query]) -> list[FloatArray]:
        """One array per query, aligned with ``query.candidates``."""

    @property
    def item_vectors(self) -> FloatArray:
        """``[item, d]`` input embeddings; zero rows where ``known_items`` is False. Raises `UsageError` if it has none."""

    @abstractmethod
    def _fit(self, split: Split, rng: np.random.Generator, progress: Progress) -> None: ...

    @abstractmethod
    def _score(self, queries: Sequence[Query]) -> FloatArray: ...

    @abstractmethod
    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Everything learned, as named arrays: what `artifacts` writes."""

    @abstractmethod
    def restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None:
        """Undo ``state``."""
