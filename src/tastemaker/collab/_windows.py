"""Training sequences -> shuffled batches of windows, each transition once per epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import numpy as np
import polars as pl

from tastemaker.types import IntArray

_WIDTHS = 8  # how many different widths batches come in


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
        """How many batches an epoch has; where the cuts fall moves it by a few."""
        return max(1, len(self._batches(np.random.default_rng(0), size)))

    def batches(self, rng: np.random.Generator, size: int, padding: int) -> Iterator[IntArray]:
        """One epoch: ``[window, item]`` numbers, padded on the right with ``padding``.

        A batch has ``size`` full windows, or accordingly more short ones of about one length.
        """
        ordered = np.append(self._ordered(rng), np.int32(padding))
        batches = self._batches(rng, size)
        for i in rng.permutation(len(batches)):
            width, cuts = batches[i]
            index = cuts[:, :1] + np.arange(width + 1)
            yield ordered[np.where(index < cuts[:, 1:], index, len(ordered) - 1)]

    def _batches(self, rng: np.random.Generator, size: int) -> list[tuple[int, IntArray]]:
        """How wide each batch is, and its cuts.

        There are few different widths, and all batches of one width but the last are of one shape: for each new shape
        a CPU's bf16 products are compiled anew, which takes longer than to run them.
        """
        cuts = self._cuts(rng)
        cuts = cuts[rng.permutation(len(cuts))]
        lengths = cuts[:, 1] - cuts[:, 0] - 1
        longest_first = np.argsort(-lengths, kind="stable")
        batches, begin, step = [], 0, math.ceil(self.length / _WIDTHS)
        while begin < len(cuts):
            width = min(math.ceil(lengths[longest_first[begin]] / step) * step, self.length)
            end = begin + size * self.length // width
            batches.append((width, cuts[longest_first[begin:end]]))
            begin = end
        return batches

    def _ordered(self, rng: np.random.Generator) -> IntArray:
        if self.times is None:
            return self.items
        ordered: IntArray = self.items[np.lexsort((rng.random(len(self.items)), self.times, self.users))]
        return ordered

    def _cuts(self, rng: np.random.Generator) -> IntArray:
        """``[window, (begin, end)]`` rows."""
        first = rng.integers(1, self.length + 1, size=len(self.starts))
        last = self.sizes - 1
        more = -(-(last - first).clip(min=0) // self.length)  # windows after a user's first
        user = np.repeat(np.arange(len(first)), more + 1)
        place = np.arange(len(user)) - np.repeat(np.cumsum(more + 1) - more - 1, more + 1)
        ends = np.minimum(first[user] + place * self.length, last[user])
        begins = np.where(place == 0, 0, first[user] + (place - 1) * self.length)
        rows = np.stack([begins, ends + 1], axis=1) + self.starts[user, None]
        return cast(IntArray, rows.astype(np.int32))
