"""Who chose what -> shuffled batches of choices, each beside items the same user did not choose."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from torch import Tensor, from_numpy

from tastemaker.data.split import Split
from tastemaker.types import IntArray

STEPS = 8
"""An epoch has about so many batches at least: an epoch of one step would tell validation nothing."""
ROUNDS = 3
"""How often a negative that turns out to be a choice is drawn anew before it is left as it is."""


class Pairs:
    """Every (user, item) of ``split.train`` once, and negatives drawn uniformly from the other items it has."""

    def __init__(self, split: Split) -> None:
        users, items = (split.train[column].to_numpy().astype(np.int64) for column in ("user", "item"))
        self.n_items = split.dataset.n_items
        self.keys = np.unique(users * self.n_items + items)
        self.known = np.unique(items)

    def batches(self, rng: np.random.Generator, size: int, negatives: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """One epoch: ``users[row]``, ``items[row]`` and ``others[row, negatives]``."""
        order = rng.permutation(self.keys)
        size = min(size, math.ceil(len(order) / STEPS))
        for begin in range(0, len(order), size):
            users, items = np.divmod(order[begin : begin + size], self.n_items)
            others = self._others(rng, users, negatives)
            yield from_numpy(users), from_numpy(items), from_numpy(others)

    def _others(self, rng: np.random.Generator, users: IntArray, negatives: int) -> IntArray:
        others: IntArray = rng.choice(self.known, size=(len(users), negatives))
        for _ in range(ROUNDS):
            keys = users[:, None] * self.n_items + others
            place = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
            chosen = self.keys[place] == keys
            if not chosen.any():
                break
            others[chosen] = rng.choice(self.known, size=int(chosen.sum()))
        return others
