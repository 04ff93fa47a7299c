"""Train sequences -> PALR's instruction data: what to ask, what to answer, and candidates that are hard to tell apart.

The paper states the rules and no numbers; the numbers here are ours. Everything is made of train edges alone, and
items that are only likely (the weak ones) are learned from, never judged on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import sparse

from tastemaker.data.split import Split
from tastemaker.types import IntArray

Task = Literal["recommend", "recommend-retrieval"]
LIST = 10
"""How many items an answer names."""
LEAST = 3
"""Items of history before the first cut; shorter sequences are cut in the middle."""
SWAPPED = 0.1
"""The chance that an item of the answer changes places with one of the history."""
NEAR = 50
"""Neighbours by co-occurrence from which negatives are drawn."""


@dataclass(frozen=True, slots=True)
class Example:
    """One instruction."""

    task: Task
    history: tuple[int, ...]
    candidates: tuple[int, ...]
    """Empty for ``recommend``; else every item of the answer and negatives, shuffled."""
    answer: tuple[int, ...]
    """The items that came next, then the weak ones."""
    weak: tuple[int, ...] = ()
    """Those of the answer that nobody has chosen: near the user by three steps through the train graph."""


def chosen_users(n: int, share: float, seed: int) -> IntArray:
    """The users that are tuned on, ascending: ``share`` of ``n``, at least one, the same for the same seed."""
    size = max(1, round(n * share))
    drawn = np.random.default_rng([seed, 20]).permutation(n)[:size]
    return np.sort(drawn).astype(np.int32)


class Tasks:
    """Makes examples, anew in every epoch."""

    def __init__(self, split: Split, attributes: Any, *, history: int, n: int, tasks: Sequence[Task]) -> None:
        """``attributes``: sparse ``[item, keyword]``; ``n``: how many candidates an example shows."""
        self.sequences, self.history, self.n, self.tasks = split.sequences, history, n, tuple(tasks)
        self.n_items = split.dataset.n_items
        users = np.repeat(np.arange(len(self.sequences)), [len(s) for s in self.sequences])
        items = np.concatenate(self.sequences)
        edges = sparse.coo_array((np.ones(len(items), np.float32), (users, items)))
        edges.resize((len(self.sequences), self.n_items))
        self._edges = edges.tocsr()
        self._edges.data[:] = 1.0
        degree = np.asarray(self._edges.sum(axis=0)).ravel()
        self._of_item = self._edges.T.tocsr()
        self._item_share = (1 / np.maximum(degree, 1)).astype(np.float32)
        self._user_share = (1 / np.maximum(np.asarray(self._edges.sum(axis=1)).ravel(), 1)).astype(np.float32)
        self._root = np.sqrt(self._item_share)
        self._attributes = attributes.tocsr()
        self._holders = self._attributes.T.tocsr()
        self._neighbours: dict[int, IntArray] = {}

    def epoch(self, users: Sequence[int] | IntArray, rng: np.random.Generator) -> Iterator[Example]:
        """One example of each task for each of these users, in random order; who chose one thing has none."""
        order = [int(users[i]) for i in rng.permutation(len(users)) if len(self.sequences[users[i]]) >= 2]
        for user in order:
            for task in self.tasks:
                yield self.example(user, task, rng)

    def example(self, user: int, task: Task, rng: np.random.Generator) -> Example:
        """The user's sequence cut at random: what came before, what came next, and what could have come."""
        sequence = self.sequences[user]
        least = min(LEAST, len(sequence) // 2)
        cut = int(rng.integers(least, len(sequence)))
        before = list(dict.fromkeys(sequence[max(0, cut - self.history) : cut].tolist()))
        after = [i for i in dict.fromkeys(sequence[cut:].tolist()) if i not in before][:LIST]
        if not after:  # only repeats follow
            before, after = [i for i in before if i != sequence[cut]], [int(sequence[cut])]
        before, after = _swapped(before, after, rng)
        weak = self._weak(user, {*before, *after, *sequence.tolist()}, LIST - len(after))
        answer = (*after, *weak)
        shown = self._candidates({*before, *sequence[:cut].tolist()}, answer, rng) if task != "recommend" else ()
        return Example(task, tuple(before), shown, answer, weak)

    def affinity(self, user: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        """``[item]``: how much of a walk user, item, user, item from here ends at each, by equal chances."""
        own = self._edges[[user]].multiply(self._item_share).tocsr()
        others = (own @ self._of_item).tocsr().multiply(self._user_share).tocsr()
        reached: np.ndarray[Any, np.dtype[np.float32]] = (others @ self._edges).toarray().ravel()
        return reached

    def _weak(self, user: int, barred: set[int], n: int) -> tuple[int, ...]:
        if n <= 0:
            return ()
        reached = self.affinity(user)
        reached[list(barred)] = 0
        best = np.argsort(-reached, kind="stable")[:n]
        return tuple(int(item) for item in best if reached[item] > 0)

    def _candidates(self, past: set[int], answer: Sequence[int], rng: np.random.Generator) -> tuple[int, ...]:
        """The answer among as many hard negatives as there is room for: half alike, half watched together, then any."""
        barred, found = {*past, *answer}, list[int]()
        alike, together = self._alike(answer), self._together(answer)
        for pool, most in ((alike, (self.n - len(answer)) // 2), (together, self.n), (np.arange(self.n_items), self.n)):
            room = min(most, self.n - len(answer) - len(found))
            free = [item for item in rng.permutation(pool).tolist() if item not in barred] if room > 0 else []
            found += free[:room]
            barred.update(free[:room])
        shown = np.array([*answer, *found])
        return tuple(int(item) for item in rng.permutation(shown))

    def _alike(self, items: Sequence[int]) -> IntArray:
        keywords = np.unique(self._attributes[list(items)].indices)
        return np.unique(self._holders[keywords].indices) if len(keywords) else np.zeros(0, np.int32)

    def _together(self, items: Sequence[int]) -> IntArray:
        return np.unique(np.concatenate([self._near(item) for item in items]))

    def _near(self, item: int) -> IntArray:
        if item not in self._neighbours:
            shared = (self._of_item[[item]] @ self._edges).toarray().ravel() * self._root
            shared[item] = 0
            best = np.argsort(-shared, kind="stable")[:NEAR]
            self._neighbours[item] = best[shared[best] > 0].astype(np.int32)
        return self._neighbours[item]


def _swapped(before: list[int], after: list[int], rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Some items of the answer and of the history in each other's place, so that order is not taken for law."""
    before, after = list(before), list(after)
    for place in np.flatnonzero(rng.random(len(after)) < SWAPPED).tolist():
        if before:
            other = int(rng.integers(len(before)))
            before[other], after[place] = after[place], before[other]
    return before, after
