"""What every collaborative model offers: settings, saving, item vectors; and for rankings, fit and score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from tastemaker.data.split import Split
from tastemaker.errors import ConfigError, DataError, NotFittedError, UsageError, suggest
from tastemaker.types import BoolArray, FloatArray, IntArray, Progress, Query, quiet

CELLS = 2**26
"""Scores of ``[query, item]`` that are held at a time where few of them are kept: 256 MB."""


class CollabConfig(BaseModel):
    """Settings of a collaborative model; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Learned(ABC):
    """What all models learned from interactions share: settings, what they know, and how they are saved.

    `CollaborativeModel` ranks the catalogue, `PointwiseModel` answers yes or no.
    """

    Config: ClassVar[type[CollabConfig]] = CollabConfig
    config: CollabConfig
    item_counts: IntArray
    """``[item]``: how often training data had the item. Set by ``fit``."""
    _counted: ClassVar[tuple[str, ...]] = ("item_counts",)

    def __init__(self, config: CollabConfig | None = None, **settings: Any) -> None:
        """Take a ready config, or settings from which to make one, never both."""
        if config is not None and settings:
            raise ConfigError(f"{type(self).__name__}: give a config or settings ({', '.join(settings)}), not both")
        if config is not None and not isinstance(config, self.Config):
            raise ConfigError(f"{type(self).__name__} needs a {self.Config.__qualname__}, got {type(config).__name__}")
        self.config = self._checked(settings) if config is None else config

    @property
    def known_items(self) -> BoolArray:
        """``[item]``: True where training data had the item. Raises `NotFittedError`."""
        if not hasattr(self, "item_counts"):
            raise NotFittedError(f"this {type(self).__name__} has not learned anything yet; call fit(split) first")
        return self.item_counts > 0

    @classmethod
    def lends_vectors(cls) -> bool:
        """Whether models of this kind have `item_vectors`, once they are fitted."""
        return cls.item_vectors is not Learned.item_vectors

    @property
    def item_vectors(self) -> FloatArray:
        """``[item, d]`` input embeddings; zero rows for unknown items. Raises `UsageError` if it has none."""
        raise UsageError(f"{type(self).__name__} has no item vectors; use a neural model such as sasrec")

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Everything learned, as named arrays: what `artifacts` writes."""
        _ = self.known_items
        return {
            **{name: np.array(getattr(self, name), order="C") for name in self._counted},
            **{name: np.array(array, order="C") for name, array in self._state().items()},
        }

    def restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None:
        """Undo ``state``."""
        for name in self._counted:
            setattr(self, name, np.asarray(state[name], dtype=np.int32))
        self._restore({name: array for name, array in state.items() if name not in self._counted})

    def without_users(self) -> Self:
        """The same model without anything it keeps about any user; most keep nothing."""
        return self

    @abstractmethod
    def _state(self) -> dict[str, np.ndarray[Any, Any]]: ...

    @abstractmethod
    def _restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None: ...

    def _checked(self, settings: dict[str, Any]) -> CollabConfig:
        fields = self.Config.model_fields
        for key in settings:
            if key not in fields:
                raise ConfigError(f"{type(self).__name__} has no setting {key!r}; {suggest(key, fields)}")
        try:
            return self.Config(**settings)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"{type(self).__name__}.{where} = {first['input']!r}: {first['msg']}") from None


class CollaborativeModel(Learned):
    """Scores for every item of the catalogue, learned from interactions alone.

    ``SASRec(embedding_size=64).fit(split).score(queries)`` is ``[query, item]``, higher is better.
    A subclass sets ``Config`` and writes ``_fit``, ``_score``, ``_state`` and ``_restore``. It is only asked
    about histories of known items, at least one of them: the rest is settled here, the same for all models.
    """

    personal: ClassVar[bool] = True
    """False where everybody gets the same scores."""

    @property
    def probabilities(self) -> bool:
        """Whether the scores are logits of a softmax, so that how sure it is of a choice can be read from them."""
        return False

    @property
    def n_users(self) -> int | None:
        """How many users it knows by number; None for a model that knows people by their histories alone."""
        return None

    def user_vectors(self, queries: Sequence[Query]) -> FloatArray:
        """``[query, d]``: who asks; zero rows for somebody nothing is known of. Raises `UsageError` if it has none."""
        raise UsageError(f"{type(self).__name__} has no user vectors; use a model of users such as bpr-mf")

    def fit(self, split: Split, *, seed: int = 0, progress: Progress = quiet) -> Self:
        """The same model, trained on ``split.train`` (early stopping on ``split.valid`` where it trains)."""
        if split.train.height == 0:
            raise DataError(f"split {split.name!r} of {split.dataset.name!r} has no training interactions")
        items = split.train["item"].to_numpy()
        self.item_counts = np.bincount(items, minlength=split.dataset.items.height).astype(np.int32)
        self._fit(split, np.random.default_rng(seed), progress)
        return self

    def score(self, queries: Sequence[Query]) -> FloatArray:
        """``[query, item]`` over the whole catalogue; unknown history items are skipped. Raises `NotFittedError`.

        Items never seen in training score below all others. A history without a known item is scored by popularity.
        """
        known = self.known_items
        asked = self._known_histories(queries)
        scores = np.tile(self._prior(), (len(asked), 1))
        rows = [row for row, query in enumerate(asked) if query.history]
        if rows:
            scores[rows] = self._score([asked[row] for row in rows])
        if len(asked) and not known.all():
            scores[:, ~known] = scores[:, known].min(axis=1, keepdims=True) - 1
        return scores

    def score_candidates(self, queries: Sequence[Query]) -> list[FloatArray]:
        """One array per query, aligned with ``query.candidates``; the catalogue's scores are never held for all."""
        found: list[FloatArray] = []
        step = max(1, CELLS // max(1, len(self.known_items)))
        for start in range(0, len(queries), step):
            some = queries[start : start + step]
            rows = zip(self.score(some), some, strict=True)
            found += [row[np.asarray(q.candidates, dtype=np.int64)] for row, q in rows]
        return found

    @abstractmethod
    def _fit(self, split: Split, rng: np.random.Generator, progress: Progress) -> None: ...

    @abstractmethod
    def _score(self, queries: Sequence[Query]) -> FloatArray: ...

    def _prior(self) -> FloatArray:
        """``[item]``: the scores of somebody we know nothing about."""
        return self.item_counts.astype(np.float32)

    def _known_histories(self, queries: Sequence[Query]) -> list[Query]:
        """The queries without the history items that the model does not know."""
        known = self.known_items
        sizes = [len(query.history) for query in queries]
        items = np.fromiter(chain.from_iterable(query.history for query in queries), dtype=np.int64, count=sum(sizes))
        kept = (items >= 0) & (items < len(known)) & known[items.clip(0, len(known) - 1)]
        asked = list(queries)
        for row in np.unique(np.repeat(np.arange(len(asked)), sizes)[~kept]).tolist():
            history = tuple(i for i in asked[row].history if 0 <= i < len(known) and known[i])
            asked[row] = replace(asked[row], history=history, likes=())
        return asked
