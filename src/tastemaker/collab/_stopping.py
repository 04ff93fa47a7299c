"""Validation results, epoch by epoch -> the weights to keep."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from tastemaker.types import FloatArray


class Keeper:
    """The weights of the last epoch that was not clearly worse than the best.

    The best epoch by a hundred validation cases is mostly the luckiest. An epoch is clearly worse when it loses to the
    best one by more than the standard error of their difference, case by case. Without cases the last epoch is kept.
    """

    def __init__(self, network: nn.Module) -> None:
        self.epoch = 0
        self.weights = _copy(network)
        self.best: FloatArray | None = None

    def see(self, epoch: int, hits: FloatArray, network: nn.Module) -> None:
        """Take note of an epoch that reached ``hits`` ``[case]``."""
        if self.best is None or (len(hits) and hits.mean() > self.best.mean()):
            self.best = hits
        lost = self.best - hits
        if not len(hits) or lost.mean() <= lost.std() / np.sqrt(len(lost)):
            self.epoch, self.weights = epoch, _copy(network)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
