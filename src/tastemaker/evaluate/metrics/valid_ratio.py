"""valid_ratio: how often what the system itself answered was one of the candidates."""

from __future__ import annotations

import numpy as np

from tastemaker.evaluate.metrics.base import RankMetric, Ranks, Values


class ValidRatio(RankMetric):
    """Share of cases whose own answer, before any repair, was valid: 1 for a system that scores the candidates."""

    binary = True

    def values(self, ranks: Ranks) -> Values:
        """1 where the answer was valid."""
        return ranks.valid.astype(np.float64)
