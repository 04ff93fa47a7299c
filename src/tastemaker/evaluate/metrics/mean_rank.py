"""mean_rank: the place of the item the user chose, 1 being best."""

from __future__ import annotations

from tastemaker.evaluate.metrics.base import RankMetric, Ranks, Values


class MeanRank(RankMetric):
    """Mean place of the positive; lower is better."""

    higher_is_better = False

    def values(self, ranks: Ranks) -> Values:
        """The middle of the places a tied positive may take; the last place without an answer."""
        return ranks.middle
