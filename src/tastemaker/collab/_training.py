"""A network, its losses and a way to judge it -> trained weights: the loop all models share that learn in epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tastemaker.collab._stopping import Keeper
from tastemaker.errors import TrainingError
from tastemaker.types import FloatArray, Progress


@dataclass(frozen=True)
class Loop:
    """Epochs until the last one or until validation stops gaining, and what progress calls them."""

    name: str
    epochs: int
    patience: int
    """Training stops after so many epochs in a row that were worse on validation than the one kept."""
    measure: str
    progress: Progress

    def run(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        losses: Callable[[], Iterable[Tensor]],
        judge: Callable[[], FloatArray],
    ) -> None:
        """Leave ``network`` with the weights to keep, in eval mode.

        ``losses`` gives one epoch's losses, one for each step. ``judge`` gives the validation results that
        `Keeper` compares, none if there is nothing to validate on.
        """
        keeper = Keeper(network)
        for epoch in range(1, self.epochs + 1):
            network.train()
            for loss in losses():
                self._step(optimizer, loss, epoch)
            network.eval()
            results = judge()
            keeper.see(epoch, results, network)
            stop = epoch - keeper.epoch >= self.patience
            note = f"validation {self.measure} {results.mean():.4f}" if len(results) else ""
            self.progress(self.name, self.epochs if stop else epoch, self.epochs, note)
            if stop:
                break
        network.load_state_dict(keeper.weights)

    def _step(self, optimizer: torch.optim.Optimizer, loss: Tensor, epoch: int) -> None:
        if not torch.isfinite(loss):
            rate = optimizer.defaults["lr"]
            raise TrainingError(
                f"{self.name}: the loss became {loss.item()} in epoch {epoch}; lower learning_rate={rate:g}"
            )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
