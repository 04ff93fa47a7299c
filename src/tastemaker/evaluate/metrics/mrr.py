"""mrr@k: one over the place of the item the user chose."""

from __future__ import annotations

import numpy as np

from tastemaker.evaluate.metrics.base import GainMetric, Values


class MRR(GainMetric):
    """Mean reciprocal rank."""

    cutoff = "optional"

    def gain(self, place: Values) -> Values:
        """``1 / place``."""
        return np.asarray(1.0 / place)
