"""log_loss: how surprised the system is by the answers."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tastemaker.evaluate.judged import Judged
from tastemaker.evaluate.metrics.base import PreferenceMetric, Values


class LogLoss(PreferenceMetric):
    """Mean negative log-probability of the labels, in nats, for scores that are log-odds."""

    higher_is_better: ClassVar[bool] = False
    needs_probabilities: ClassVar[bool] = True

    def of(self, judged: Judged, weights: Values) -> Values:
        """The mean over all rows."""
        surprise = np.logaddexp(0.0, np.where(judged.liked, -judged.scores, judged.scores))
        return judged.row_mean(surprise, weights)
