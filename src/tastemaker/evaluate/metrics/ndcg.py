"""ndcg@k: like a hit, but worth less the further down the list it is."""

from __future__ import annotations

import numpy as np

from tastemaker.evaluate.metrics.base import GainMetric, Values


class NDCG(GainMetric):
    """Normalised discounted cumulative gain with one relevant item per case, so the ideal is 1."""

    cutoff = "optional"

    def gain(self, place: Values) -> Values:
        """``1 / log2(place + 1)``."""
        return np.asarray(1.0 / np.log2(place + 1.0))
