"""ndcg@k: like a hit, but worth less the further down the list it is."""

from __future__ import annotations

import numpy as np

from tastemaker.evaluate.metrics.base import GainMetric, Values


class NDCG(GainMetric):
    """Normalised discounted cumulative gain: with one right answer the ideal is 1, with several all of them on top."""

    cutoff = "optional"

    def gain(self, place: Values) -> Values:
        """``1 / log2(place + 1)``."""
        return np.asarray(1.0 / np.log2(place + 1.0))

    def of_question(self, mean: Values, relevant: Values) -> Values:
        """The sum over the right answers, in units of the best there could be."""
        if not len(relevant):
            return mean
        most = int(relevant.max())
        ideal = np.cumsum(self.gain(np.arange(1, most + 1, dtype=np.float64)))
        reached = np.minimum(relevant, self.k or most).astype(np.int64)
        return np.asarray(mean * relevant / ideal[reached - 1])
