"""undcg: how far up a user's own list the liked items are."""

from __future__ import annotations

from tastemaker.evaluate.judged import Judged
from tastemaker.evaluate.metrics.base import PreferenceMetric, Values


class UNDCG(PreferenceMetric):
    """CoLLM's NDCG: each user's whole list, a gain of 1 for what was liked, over the users that uauc takes."""

    def of(self, judged: Judged, weights: Values) -> Values:
        """The mean over the users that are usable."""
        return judged.mean(judged.user_ndcg, weights)
