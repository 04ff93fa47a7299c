"""precision@k: how much of the first k is what the user chose."""

from __future__ import annotations

import numpy as np

from tastemaker.evaluate.metrics.base import GainMetric, Values


class Precision(GainMetric):
    """The share of the list that is right; below 1 for everybody with fewer than k right answers."""

    cutoff = "required"

    def gain(self, place: Values) -> Values:
        """One in k, for any place."""
        return np.full_like(place, 1.0 / (self.k or 1))

    def of_question(self, mean: Values, relevant: Values) -> Values:
        """The sum over the right answers."""
        return mean * relevant
