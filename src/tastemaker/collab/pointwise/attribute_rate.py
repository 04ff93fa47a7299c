"""How items of like years and genres were liked in training -> log-odds for every item, one nobody rated included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tastemaker.collab.base import CollabConfig
from tastemaker.collab.pointwise._items import ItemModel
from tastemaker.collab.pointwise._rates import RateConfig, log_odds, mean_log_odds
from tastemaker.data.preference import PreferenceSplit, labels
from tastemaker.types import FloatArray, IntArray, Progress


class AttributeRateConfig(RateConfig):
    """What is alike, and how much of it must have been seen."""

    smoothing: float = Field(20.0, gt=0, allow_inf_nan=False)
    """How many rows at the overall rate are added to those of each year and genre."""
    years: float = Field(2.0, gt=0, allow_inf_nan=False)
    """How many years apart items are still alike: the deviation of a bell curve."""


class AttributeRate(ItemModel):
    """The smoothed like-rates of an item's year and, in the mean, of its genres, as log-odds over the overall one.

    An item without either, and where the catalogue has neither every item, gets the overall rate.
    """

    Config: ClassVar[type[CollabConfig]] = AttributeRateConfig
    config: AttributeRateConfig

    def items_of(self, items: Sequence[int]) -> IntArray:
        """``[item]``: the same items, for attributes say something of those that training never showed; -1 outside."""
        found = np.asarray(items, dtype=np.int32)
        return np.where((found >= 0) & (found < len(self.items) - 1), found, -1).astype(np.int32)

    def _fit(self, split: PreferenceSplit, rng: np.random.Generator, progress: Progress) -> None:
        overall, table = mean_log_odds(split), split.dataset.items
        rows, liked = np.array([row.item for row in split.train]), labels(split.train).astype(np.float64)
        self.items = np.full(table.height + 1, overall, np.float32)
        if "year" in table.columns:
            years = table["year"].cast(float).fill_null(np.nan).to_numpy()
            values = np.unique(years[np.isfinite(years)])
            near = np.exp(-0.5 * ((values[:, None] - years[rows][None]) / self.config.years) ** 2)
            rates = self._rates(np.nan_to_num(near), liked)
            dated = np.flatnonzero(np.isfinite(years))
            self.items[dated] += rates[np.searchsorted(values, years[dated])] - overall
        if "genres" in table.columns:
            genres = [tuple(own or ()) for own in table["genres"].to_list()]
            number = {name: at for at, name in enumerate(sorted({name for own in genres for name in own}))}
            has = np.zeros((len(number), table.height))
            for item, own in enumerate(genres):
                has[[number[name] for name in own], item] = 1
            rates = self._rates(has[:, rows], liked)
            self.items[:-1] += ((rates - overall) @ has / has.sum(axis=0).clip(min=1)).astype(np.float32)

    def _rates(self, near: npt.NDArray[np.float64], liked: npt.NDArray[np.float64]) -> FloatArray:
        """``[value]``: smoothed log-odds of a like among rows that weigh ``near [value, row]``."""
        added = self.config.smoothing
        return log_odds((near @ liked + added * liked.mean()) / (near.sum(axis=1) + added))
