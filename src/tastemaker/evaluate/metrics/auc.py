"""auc: the chance that something liked scores above something disliked, whoever was asked."""

from __future__ import annotations

from typing import ClassVar

from tastemaker.evaluate.judged import Judged
from tastemaker.evaluate.metrics.base import PreferenceMetric, Values


class AUC(PreferenceMetric):
    """Area under the ROC curve, pooled over all rows: it also pays for knowing who is generous."""

    chance: ClassVar[float | None] = 0.5

    def of(self, judged: Judged, weights: Values) -> Values:
        """Half a point for a tie."""
        return judged.auc(weights)
