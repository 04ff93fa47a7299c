"""A stage small enough to check by hand: a linear layer, noise, and batches that differ by epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from tastemaker.tuning import loop
from tastemaker.tuning.stages import Group, Stage

BATCHES = 4


class Toy:
    """``stage`` trains ``layer`` and leaves ``frozen`` alone; ``seen`` and ``shares`` tell what the loss was given."""

    def __init__(self, *, drop: float = 0.5, **options):
        """``drop``: of the inputs, drawn from torch's global generator as adapters do."""
        self.drop = drop
        generator = torch.Generator().manual_seed(3)
        self.layer, self.frozen = nn.Linear(4, 2), nn.Linear(4, 2)
        for parameter in (*self.layer.parameters(), *self.frozen.parameters()):
            parameter.data = torch.randn(parameter.shape, generator=generator)
        self.seen: list[float] = []
        self.shares: list[float] = []
        groups = {"weight": Group({"w": self.layer.weight}, 0.05, 0.1), "bias": Group({"b": self.layer.bias}, 0.2)}
        settings = {"name": "toy", "steps": 20, "epoch": self.epoch, "loss": self.loss, "groups": groups}
        self.stage = Stage(**{**settings, **options})

    def epoch(self, rng: np.random.Generator):
        """Each of the batches once, in an order and with noise of this epoch's own."""
        order, noise = rng.permutation(BATCHES), rng.random(BATCHES)
        return [float(number + noise[number]) for number in order]

    def loss(self, batch: float, share: float) -> torch.Tensor:
        self.seen.append(batch)
        self.shares.append(share)
        inputs = torch.nn.functional.dropout(torch.linspace(-1, batch, 4), self.drop)
        return (self.layer(inputs) - batch).square().mean()

    def values(self) -> dict[str, torch.Tensor]:
        return {name: parameter.detach().clone() for name, parameter in self.layer.named_parameters()}

    def run(self, run_dir: Path | None = None, **options) -> loop.Outcome:
        return loop.run(self.stage, run_dir=run_dir, **options)


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    """Whether both hold the same tensors to the bit."""
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
