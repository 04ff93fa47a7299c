"""How many users liked an item in training -> one order for everybody: popularity, which is no probability."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tastemaker.collab.pointwise._items import ItemModel
from tastemaker.data.preference import PreferenceSplit, labels
from tastemaker.types import Progress


class LikedCount(ItemModel):
    """An item's likes in training, as a logarithm."""

    probabilities: ClassVar[bool] = False

    def _fit(self, split: PreferenceSplit, rng: np.random.Generator, progress: Progress) -> None:
        items = np.array([row.item for row in split.train])
        likes = np.bincount(items, weights=labels(split.train), minlength=split.dataset.n_items + 1)
        self.items = np.log1p(likes).astype(np.float32)
