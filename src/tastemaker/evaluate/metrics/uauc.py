"""uauc: the chance that something a user liked scores above something the same user disliked."""

from __future__ import annotations

from typing import ClassVar

from tastemaker.evaluate.judged import Judged
from tastemaker.evaluate.metrics.base import PreferenceMetric, Values


class UAUC(PreferenceMetric):
    """Mean over users of their own AUC, whether they have few rows or many; who has one kind only is left out."""

    chance: ClassVar[float | None] = 0.5

    def of(self, judged: Judged, weights: Values) -> Values:
        """The mean over the users that are usable."""
        return judged.mean(judged.user_auc, weights)
