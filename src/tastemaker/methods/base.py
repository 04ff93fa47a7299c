"""What every method offers: tune on a split, score a query's candidates, save and load."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from tastemaker.collab.base import CollaborativeModel
from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Split
from tastemaker.types import FloatArray, Progress, Query, Ranking, quiet


class MethodConfig(BaseModel):
    """Settings of a method; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Method(ABC):
    """A language model made a recommender.

    ``LLaRA(llm="smollm2-135m", collab=sasrec, epochs=2).tune(split).score(queries)``. A subclass in a file of its own
    is found by its file's name; it sets ``Config`` and writes the abstract verbs below.
    """

    Config: ClassVar[type[MethodConfig]] = MethodConfig
    config: MethodConfig
    catalogue: Dataset
    """The items the method was tuned on (their texts); set by ``tune`` and by ``load``."""
    collab: CollaborativeModel

    @abstractmethod
    def tune(self, split: Split, *, seed: int = 0, run_dir: Path | None = None, progress: Progress = quiet) -> Self:
        """The same method, tuned. With ``run_dir``: checkpoints and ``log.jsonl`` there, and resumed from there."""

    @abstractmethod
    def score(self, queries: Sequence[Query], *, progress: Progress = quiet) -> list[FloatArray]:
        """One array per query, aligned with ``query.candidates`` (the whole catalogue where that is empty)."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write everything scoring needs but the base language model, which is named and hashed."""

    @classmethod
    @abstractmethod
    def load(cls, path: Path) -> Self:
        """Undo ``save``. Raises `ArtifactError`; never runs code from the directory."""

    def rank(self, query: Query) -> Ranking:
        """The query's candidates, best first; ties keep the order shown."""
        (scores,) = self.score([query])
        candidates = np.asarray(query.candidates or range(self.catalogue.n_items))
        order = np.argsort(-scores, kind="stable")
        return Ranking(tuple(candidates[order].tolist()), tuple(scores[order].tolist()))
