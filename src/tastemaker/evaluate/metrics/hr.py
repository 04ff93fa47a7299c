"""hr@k: how often the item the user chose is among the first k."""

from __future__ import annotations

import numpy as np

from tastemaker.evaluate.metrics.base import GainMetric, Values


class HR(GainMetric):
    """Hit ratio. At k = 1 it is accuracy: the share of cases in which the first item is the right one."""

    cutoff = "required"
    binary = True

    def gain(self, place: Values) -> Values:
        """One for any place."""
        return np.ones_like(place)
