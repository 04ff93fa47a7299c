"""What every model of yes/no questions offers: fit on labelled rows, log-odds for candidates, user and item vectors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from tastemaker.collab.base import Learned
from tastemaker.data.preference import PreferenceSplit, require_both
from tastemaker.errors import NotFittedError, UsageError
from tastemaker.types import BoolArray, FloatArray, IntArray, Progress, Query, quiet


class PointwiseModel(Learned):
    """The log-odds that a user likes an item, learned from rows somebody labelled.

    ``MF(embedding_size=64).fit(split).score(queries)`` is one array per query, aligned with its candidates.
    A subclass sets ``Config`` and writes ``_fit``, ``_log_odds``, ``_state`` and ``_restore``; one that lends its
    vectors also writes ``item_vectors`` and ``user_vectors``. Who and what training never saw is the number -1.
    """

    probabilities: ClassVar[bool] = True
    """False where the scores are not log-odds, only an order."""
    user_counts: IntArray
    """``[user]``: how many training rows the user had. Set by ``fit``."""
    _counted: ClassVar[tuple[str, ...]] = ("item_counts", "user_counts")

    def fit(self, split: PreferenceSplit, *, seed: int = 0, progress: Progress = quiet) -> Self:
        """The same model, trained on ``split.train`` (early stopping on ``split.valid`` where it trains)."""
        require_both(split)
        self.item_counts, self.user_counts = split.item_counts, split.user_counts
        self._fit(split, np.random.default_rng(seed), progress)
        return self

    def score(self, queries: Sequence[Query]) -> list[FloatArray]:
        """One array of log-odds per query, aligned with ``query.candidates``. Raises `NotFittedError`."""
        _ = self.known_items
        sizes = [len(query.candidates) for query in queries]
        if not sum(sizes):
            return [np.zeros(0, np.float32) for _ in queries]
        asked = [query for query, size in zip(queries, sizes, strict=True) for _ in range(size)]
        items = self.items_of([item for query in queries for item in query.candidates])
        found = self._log_odds(asked, items).astype(np.float32)
        return np.split(found, np.cumsum(sizes)[:-1])

    @property
    def known_users(self) -> BoolArray:
        """``[user]``: True where training data had the user. Raises `NotFittedError`."""
        if not hasattr(self, "user_counts"):
            raise NotFittedError(f"this {type(self).__name__} has not learned anything yet; call fit(split) first")
        return self.user_counts > 0

    def user_vectors(self, queries: Sequence[Query]) -> FloatArray:
        """``[query, d]``: who asks; zero rows where ``knows`` is False. Raises `UsageError` if it has none."""
        raise UsageError(f"{type(self).__name__} has no user vectors; use a neural model such as mf")

    def without_users(self) -> Self:
        """The same model, to which everybody is a stranger: each user has what the unknown one has, the last row."""
        state = self.state()
        state["user_counts"][:] = 0
        for name in {"users", "users.weight"} & state.keys():
            state[name][:] = state[name][-1]
        bare = type(self)(self.config)
        bare.restore(state)
        return bare

    def knows(self, queries: Sequence[Query]) -> BoolArray:
        """``[query]``: whether the model has anything to say of who asks: here, a user of the training data."""
        return self.users_of(queries) >= 0

    def users_of(self, queries: Sequence[Query]) -> IntArray:
        """``[query]``: who asks; -1 for nobody and for who training never saw."""
        return _known([-1 if query.user is None else query.user for query in queries], self.known_users)

    def items_of(self, items: Sequence[int]) -> IntArray:
        """``[item]``: the same items; -1 for what training never showed."""
        return _known(items, self.known_items)

    @abstractmethod
    def _fit(self, split: PreferenceSplit, rng: np.random.Generator, progress: Progress) -> None: ...

    @abstractmethod
    def _log_odds(self, queries: Sequence[Query], items: IntArray) -> FloatArray:
        """``[row]``: of each query with the item beside it, -1 for an unknown one; ``query.candidates`` is not read."""

    @abstractmethod
    def _state(self) -> dict[str, np.ndarray[Any, Any]]: ...

    @abstractmethod
    def _restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None: ...


def _known(numbers: Sequence[int], known: BoolArray) -> IntArray:
    """The numbers, -1 where they are out of range or not known."""
    found = np.asarray(numbers, dtype=np.int64)
    inside = (found >= 0) & (found < len(known))
    inside[inside] = known[found[inside]]
    return np.where(inside, found, -1).astype(np.int32)
