"""recall@k: how much of what the user chose is among the first k."""

from __future__ import annotations

import numpy as np

from tastemaker.evaluate.metrics.base import GainMetric, Values


class Recall(GainMetric):
    """The share of a question's right answers that is shown; with one right answer, the hit ratio."""

    cutoff = "required"

    def gain(self, place: Values) -> Values:
        """One for any place."""
        return np.ones_like(place)
