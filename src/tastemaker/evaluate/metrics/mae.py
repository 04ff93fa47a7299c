"""mae: how far predicted ratings are from those given."""

from __future__ import annotations

from tastemaker.evaluate.metrics.base import Metric


class MAE(Metric):
    """Mean absolute error, over ratings; made where ratings are predicted, not by ranking."""

    higher_is_better = False
