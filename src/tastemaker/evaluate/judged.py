"""Scores and labels of judged rows -> what their metrics are made of, for any number of resamples of the users."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tastemaker.types import BoolArray

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_CHUNK = 4_000_000  # cells of a table of resamples and rows held at once: 32 MB


@dataclass(frozen=True, eq=False)
class Judged:
    """Rows that were liked or not, as one system scored them; every array but ``n_users`` is ``[row]``."""

    users: Ints
    """From 0 to ``n_users`` - 1; the same user has the same number in every slice."""
    scores: Floats
    liked: BoolArray
    n_users: int

    def once(self) -> Floats:
        """``[1, user]``: the weights of no resample at all, every user counting once."""
        return np.ones((1, self.n_users))

    @cached_property
    def usable(self) -> BoolArray:
        """``[user]``: who has rows of both kinds, so that their order can be right or wrong."""
        likes = np.bincount(self.users, weights=self.liked, minlength=self.n_users)
        rows = np.bincount(self.users, minlength=self.n_users)
        return np.asarray((likes > 0) & (likes < rows))

    def auc(self, weights: Floats) -> Floats:
        """``[resample]``: the chance that a liked row scores above a disliked one, half for a tie; NaN if one lacks."""
        order = np.argsort(self.scores, kind="stable")
        scores, liked, users = self.scores[order], self.liked[order].astype(np.float64), self.users[order]
        starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]]) if len(scores) else np.zeros(0, np.int64)
        found = np.full(len(weights), np.nan)
        step = max(1, _CHUNK // max(1, len(scores)))
        for first in range(0, len(weights) if len(scores) else 0, step):
            each = np.ascontiguousarray(weights[first : first + step].T)[users]
            likes = np.add.reduceat(each * liked[:, None], starts)
            dislikes = np.add.reduceat(each, starts) - likes
            below = np.cumsum(dislikes, axis=0) - dislikes / 2
            pairs = likes.sum(axis=0) * dislikes.sum(axis=0)
            found[first : first + step] = _shares((likes * below).sum(axis=0), pairs)
        return found

    @cached_property
    def user_auc(self) -> Floats:
        """``[user]``: each user's own AUC; NaN for who is not usable."""
        return self._by_user(_auc)

    @cached_property
    def user_ndcg(self) -> Floats:
        """``[user]``: gain of the liked rows in each user's own order, over the best order's; NaN if not usable."""
        return self._by_user(_ndcg)

    def mean(self, values: Floats, weights: Floats) -> Floats:
        """``[resample]``: the mean of ``values [user]`` over the users for whom there is one."""
        known = ~np.isnan(values)
        total = weights[:, known].sum(axis=1)
        sums = weights[:, known] @ values[known]
        return _shares(sums, total)

    def row_mean(self, values: Floats, weights: Floats) -> Floats:
        """``[resample]``: the mean of ``values [row]`` over all rows."""
        sums = weights @ np.bincount(self.users, weights=values, minlength=self.n_users)
        total = weights @ np.bincount(self.users, minlength=self.n_users)
        return _shares(sums, total)

    def _by_user(self, value: _OfUser) -> Floats:
        found = np.full(self.n_users, np.nan)
        for user, scores, liked in self._groups():
            found[user] = value(scores, liked)
        return found

    def _groups(self) -> Iterator[tuple[int, Floats, BoolArray]]:
        """Each usable user with their scores, best first, and labels."""
        order = np.lexsort((-self.scores, self.users))
        users = self.users[order]
        starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]]) if len(users) else np.zeros(0, np.int64)
        for rows in np.split(order, starts[1:]) if len(users) else ():
            user = int(self.users[rows[0]])
            if self.usable[user]:
                yield user, self.scores[rows], self.liked[rows]


_OfUser = Callable[[Floats, BoolArray], float]


def _auc(scores: Floats, liked: BoolArray) -> float:
    """Of scores that come best first."""
    starts, sizes = _ties(scores)
    likes = np.add.reduceat(liked.astype(np.float64), starts)
    dislikes = sizes - likes
    below = dislikes.sum() - np.cumsum(dislikes) + dislikes / 2
    return float((likes * below).sum() / (likes.sum() * dislikes.sum()))


def _ndcg(scores: Floats, liked: BoolArray) -> float:
    """Of scores that come best first; tied rows share the mean gain of their places."""
    starts, sizes = _ties(scores)
    gains = 1.0 / np.log2(np.arange(len(scores)) + 2.0)
    likes = np.add.reduceat(liked.astype(np.float64), starts)
    return float((likes * np.add.reduceat(gains, starts) / sizes).sum() / gains[: int(liked.sum())].sum())


def _shares(parts: Floats, wholes: Floats) -> Floats:
    """The quotients, NaN where there is nothing to divide by."""
    found = np.full(len(wholes), np.nan)
    np.divide(parts, wholes, out=found, where=wholes > 0)
    return found


def _ties(scores: Floats) -> tuple[Ints, Ints]:
    """Where each run of equal scores begins, and how long it is."""
    starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])
    return starts, np.diff(np.r_[starts, len(scores)])
