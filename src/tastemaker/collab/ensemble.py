"""Several collaborative models -> one, by the mean of their standardised scores."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from tastemaker.collab import models
from tastemaker.collab.base import CollabConfig, CollaborativeModel
from tastemaker.data.split import Split
from tastemaker.errors import UsageError
from tastemaker.types import FloatArray, Progress, Query


class EnsembleConfig(CollabConfig):
    """Who has a say."""

    members: tuple[str, ...] = Field(("sasrec", "gru4rec", "caser"), min_length=1)
    """Names of models; one named twice is fitted twice, from different seeds."""
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings by member name, where the defaults will not do."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "ensemble" in self.members:
            raise ValueError("an ensemble cannot be a member of itself")
        for name in self.settings:
            if name not in self.members:
                raise ValueError(f"there are settings for {name!r}, which is no member of {', '.join(self.members)}")
        return self


class Ensemble(CollaborativeModel):
    """Every member's scores, scaled to mean 0 and deviation 1 within each query, count alike."""

    Config: ClassVar[type[CollabConfig]] = EnsembleConfig
    config: EnsembleConfig
    members: tuple[CollaborativeModel, ...]
    """The fitted models, in the order of their names in the config."""

    @property
    def item_vectors(self) -> FloatArray:
        """``[item, d]``: the members' input embeddings side by side, each at mean norm 1. Raises `UsageError`."""
        _ = self.known_items
        tables = []
        for member in self.members:
            with contextlib.suppress(UsageError):
                vectors = member.item_vectors
                tables.append(vectors / max(float(np.linalg.norm(vectors[self.known_items], axis=1).mean()), 1e-6))
        if not tables:
            raise UsageError(f"no member of {self.config.members} has item vectors; add a neural model such as sasrec")
        return np.concatenate(tables, axis=1).astype(np.float32)

    def _fit(self, split: Split, rng: np.random.Generator, progress: Progress) -> None:
        seeds = rng.integers(2**31, size=len(self.config.members))
        self.members = tuple(
            member.fit(split, seed=int(seed), progress=progress)
            for member, seed in zip(self._unfitted(), seeds, strict=True)
        )

    def _score(self, queries: Sequence[Query]) -> FloatArray:
        known = self.known_items
        total = np.zeros((len(queries), len(known)), dtype=np.float32)
        for member in self.members:
            scores = member.score(queries)
            mean = scores[:, known].mean(axis=1, keepdims=True)
            deviation = scores[:, known].std(axis=1, keepdims=True)
            total += (scores - mean) / np.where(deviation > 0, deviation, 1)
        return total / np.float32(len(self.members))

    def _state(self) -> dict[str, np.ndarray[Any, Any]]:
        return {
            f"{number}.{name}": array
            for number, member in enumerate(self.members)
            for name, array in member.state().items()
        }

    def _restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None:
        self.members = self._unfitted()
        for number, member in enumerate(self.members):
            prefix = f"{number}."
            member.restore({name[len(prefix) :]: a for name, a in state.items() if name.startswith(prefix)})

    def _unfitted(self) -> tuple[CollaborativeModel, ...]:
        return tuple(models.get(name)(**self.config.settings.get(name, {})) for name in self.config.members)
