"""What every method offers: tune on a split, score a query's candidates, save and load."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from tastemaker.artifacts import Artifact
from tastemaker.collab.base import CollaborativeModel
from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Split
from tastemaker.errors import ArtifactError
from tastemaker.types import FloatArray, Progress, Query, Ranking, quiet


def saved_catalogue(artifact: Artifact, n_items: int) -> Dataset:
    """The ``n_items`` items saved in an artefact, as a method reads them. Raises `ArtifactError` unless they are."""
    items = artifact.frame("items")
    for column in ("item_id", "title"):
        if items.schema.get(column) != pl.String or items[column].has_nulls():
            raise ArtifactError(f"{artifact.path}: its items have no text in column {column!r}; save it again")
    if items.height != n_items:
        raise ArtifactError(
            f"{artifact.path}: holds {items.height} items where its model knows {n_items}; save it again"
        )
    return Dataset.of_items(items)


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

    @classmethod
    def wants_vectors(cls, config: MethodConfig) -> bool:
        """Whether, with these settings, it can only be tuned on a collaborative model that has item vectors."""
        return False

    @property
    def scores_catalogue(self) -> bool:
        """Whether one pass scores any number of items and no item's score depends on the other candidates."""
        return False

    @property
    def probabilities(self) -> bool:
        """Whether scores are log-probabilities, so that how sure the method is of a choice can be read from them."""
        return False

    @property
    def concurrent(self) -> bool:
        """Whether several threads may ask it at once: not where a language model in this process answers."""
        return False

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

    def without_users(self) -> Self:
        """The same method without anything it keeps about any user."""
        other = copy(self)
        if hasattr(self, "collab"):
            other.collab = self.collab.without_users()
        return other

    def rank(self, query: Query) -> Ranking:
        """The query's candidates, best first; ties keep the order shown."""
        (scores,) = self.score([query])
        candidates = np.asarray(query.candidates or range(self.catalogue.n_items))
        order = np.argsort(-scores, kind="stable")
        return Ranking(tuple(candidates[order].tolist()), tuple(scores[order].tolist()))
