"""rmse: how far predicted ratings are from those given, large errors counting for more."""

from __future__ import annotations

from tastemaker.evaluate.metrics.base import Metric


class RMSE(Metric):
    """Root of the mean squared error, over ratings; made where ratings are predicted, not by ranking."""

    higher_is_better = False
