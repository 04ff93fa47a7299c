"""Training sequences -> shuffled batches of windows, each transition once per epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import polars as pl

from tastemaker.types import IntArray


class Windows:
    """Windows of ``length`` + 1 items over the users of ``train``; a window's last item is the next one's first.

    Where a user is cut, and the order inside equal timestamps if ``shuffle_ties``, are drawn anew each epoch.
    """

    def __init__(self, train: pl.DataFrame, length: int, *, shuffle_ties: bool) -> None:
        self.items: IntArray = train["item"].to_numpy()
        self.users = train["user"].to_numpy()
        times = train["time"].fill_null(0).to_numpy()
        self.times = times if shuffle_ties and not train["time"].has_nulls() else None
        self.length = length
        _, starts, sizes = np.unique(self.users, return_index=True, return_counts=True)
        self.starts, self.sizes = starts[sizes > 1], sizes[sizes > 1]  # one item alone teaches nothing

    def steps(self, size: int) -> int:
        """About how many batches an epoch has; where the cuts fall moves it by a few."""
        return max(1, math.ceil(float(np.ceil(self.sizes / self.length + 0.5).sum()) / size))

    def batches(self, rng: np.random.Generator, size: int, padding: int) -> Iterator[IntArray]:
        """One epoch: ``[window, length + 1]`` item numbers, padded on the right with ``padding``."""
        if not len(self.sizes):
            return
        cuts = self._cuts(rng)
        offsets = np.arange(self.length + 1)
        ordered = np.append(self._ordered(rng), np.int32(padding))
        order = rng.permutation(len(cuts))
        for begin in range(0, len(order), size):
            chosen = cuts[order[begin : begin + size]]
            index = chosen[:, :1] + offsets
            index = np.where(index < chosen[:, 1:], index, len(ordered) - 1)
            yield ordered[index[:, : int((chosen[:, 1] - chosen[:, 0]).max())]]

    def _ordered(self, rng: np.random.Generator) -> IntArray:
        if self.times is None:
            return self.items
        ordered: IntArray = self.items[np.lexsort((rng.random(len(self.items)), self.times, self.users))]
        return ordered

    def _cuts(self, rng: np.random.Generator) -> IntArray:
        """``[window, (begin, end)]`` rows."""
        first = rng.integers(1, self.length + 1, size=len(self.starts))
        rows = []
        for start, size, head in zip(self.starts, self.sizes, first, strict=True):
            ends = np.arange(head, size - 1 + self.length, self.length).clip(max=size - 1)
            begins = np.concatenate(([0], ends[:-1]))
            rows.append(np.stack([start + begins, start + ends + 1], axis=1))
        return np.concatenate(rows).astype(np.int32)
