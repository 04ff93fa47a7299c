"""How often an item was liked in training -> the same log-odds for everybody: counting, and no more."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tastemaker.collab.base import CollabConfig
from tastemaker.collab.pointwise._items import ItemModel
from tastemaker.collab.pointwise._rates import RateConfig, item_log_odds
from tastemaker.data.preference import PreferenceSplit
from tastemaker.types import Progress


class ItemRate(ItemModel):
    """An item's smoothed like-rate; an item never seen gets the overall rate."""

    Config: ClassVar[type[CollabConfig]] = RateConfig
    config: RateConfig

    def _fit(self, split: PreferenceSplit, rng: np.random.Generator, progress: Progress) -> None:
        self.items = item_log_odds(split, self.config.smoothing)
