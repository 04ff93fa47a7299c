"""Several collaborative models -> one, by the mean of their standardised scores."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from copy import copy
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from tastemaker.collab import models
from tastemaker.collab.base import CollabConfig, CollaborativeModel
from tastemaker.data.split import Split
from tastemaker.errors import UsageError
from tastemaker.types import FloatArray, Progress, Query


class EnsembleConfig(CollabConfig):
    """Who has a say."""

    members: tuple[str, ...] = Field(("sasrec", "gru4rec", "caser"), min_length=1)
    """Names of models; one named twice is fitted twice, from different seeds."""
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict, validate_default=True)
    """Settings by member name, where the defaults will not do. Once read, all settings of every member."""

    @field_validator("members")
    @classmethod
    def _not_itself(cls, members: tuple[str, ...]) -> tuple[str, ...]:
        if "ensemble" in members:
            raise ValueError("an ensemble cannot be a member of itself")
        return members

    @field_validator("settings")
    @classmethod
    def _resolved(cls, given: dict[str, dict[str, Any]], info: ValidationInfo) -> dict[str, dict[str, Any]]:
        members: tuple[str, ...] = info.data.get("members", tuple(given))
        for name in given:
            if name not in members:
                raise ValueError(f"there are settings for {name!r}, which is no member of {', '.join(members)}")
        return {name: models.get(name)(**given.get(name, {})).config.model_dump(mode="json") for name in members}


class Ensemble(CollaborativeModel):
    """Every member's scores, scaled to mean 0 and deviation 1 within each query, count alike."""

    Config: ClassVar[type[CollabConfig]] = EnsembleConfig
    config: EnsembleConfig
    members: tuple[CollaborativeModel, ...]
    """The fitted models, in the order of their names in the config."""

    @classmethod
    def of(cls, members: Sequence[CollaborativeModel], **settings: Any) -> Self:
        """An ensemble of models that are fitted already, all on one split. Raises `UsageError` if they are not."""
        names = [models.name_of(type(member)) for member in members]
        if len(set(names)) < len(names):
            raise UsageError(f"an ensemble of fitted models has one of each kind, not {', '.join(names)}")
        own = {name: member.config.model_dump() for name, member in zip(names, members, strict=True)}
        made = cls(members=tuple(names), settings=own, **settings)
        counts = [member.item_counts for member in members if member.known_items.any()]
        if not all(np.array_equal(counts[0], other) for other in counts):
            raise UsageError("the members of an ensemble must be fitted on the same split")
        made.members, made.item_counts = tuple(members), counts[0]
        return made

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

    @property
    def n_users(self) -> int | None:
        """How many users any member knows by number."""
        _ = self.known_items
        return max((n for member in self.members if (n := member.n_users) is not None), default=None)

    def without_users(self) -> Self:
        """The same of members without users."""
        bare = copy(self)
        bare.members = tuple(member.without_users() for member in self.members)
        return bare

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
        return tuple(models.get(name)(**self.config.settings[name]) for name in self.config.members)
