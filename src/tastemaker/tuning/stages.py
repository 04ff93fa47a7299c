"""What trains, on which batches, with which schedule -> a Stage; a method is a list of stages."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn

Epoch = Callable[[np.random.Generator], Sequence[Any]]
"""One pass over the data as micro-batches; the same generator state gives the same batches."""
Loss = Callable[[Any, float], Tensor]
"""``loss(batch, share)``: a scalar; ``share`` is the global optimiser step over all steps, in [0, 1)."""


@dataclass(frozen=True)
class Group:
    """Parameters that train with one learning rate."""

    parameters: Mapping[str, nn.Parameter]
    learning_rate: float
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Stage:
    """One run of the training loop.

    ``steps`` optimiser steps of ``accumulate`` micro-batches each; everything not in ``groups`` stays as it is.
    ``validate`` (higher is better) is asked every ``validate_every`` steps, and the best parameters are kept.
    """

    name: str
    steps: int
    epoch: Epoch
    loss: Loss
    groups: Mapping[str, Group]
    accumulate: int = 1
    warmup: float = 0.05
    """Share of the steps over which the learning rate rises to its peak, linearly from a hundredth of it."""
    floor: float = 0.01
    """The share of the peak at which the cosine ends."""
    clip: float | None = 1.0
    """Largest norm of the whole gradient; None leaves it alone."""
    validate: Callable[[], float] | None = None
    validate_every: int = 50
    betas: tuple[float, float] = (0.9, 0.98)
    """How much of the gradient's running mean, and of its square's, a step keeps."""
    decoupled: bool = True
    """Whether weight decay shrinks the parameters themselves (AdamW), or is added to the gradient (Adam with L2)."""
    average: float | None = None
    """Decay of an exponential moving average of the parameters, used in place of the last ones; None: no averaging."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """Anything that must be the same for a run to be resumed: settings, hashes of data and models."""

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """Everything that trains, as ``group/name``."""
        return {f"{g}/{n}": p for g, group in self.groups.items() for n, p in group.parameters.items()}

    def rate(self, step: int) -> float:
        """The factor on every learning rate at a step counted from 0: linear warm-up, then a cosine."""
        warm = max(1, round(self.steps * self.warmup))
        if step < warm:
            return 0.01 + 0.99 * (step + 1) / warm
        share = (step - warm) / max(1, self.steps - warm)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * share))
