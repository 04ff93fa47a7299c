"""A language model -> how near its passes, forwards and both ways, come to the machine's ceiling."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.speed.ceiling import ceiling, fastest
from tastemaker.llm import adapters
from tastemaker.llm.encoding import Encoded
from tastemaker.llm.local import LocalLM

ROWS, LENGTH = 8, 256


@dataclass(frozen=True, slots=True)
class Share:
    """What a pass reaches of what its matrix products alone would."""

    name: str
    tokens_per_second: float
    ceiling: float
    """Tokens per second."""
    warm_up: float = 0.0
    """Seconds of compiling before."""

    @property
    def share(self) -> float:
        """1 is as fast as the machine multiplies."""
        return self.tokens_per_second / self.ceiling


def forward(lm: LocalLM, *, rows: int = ROWS, length: int = LENGTH, times: int = 7) -> Share:
    """Hidden states of full rows, adapters merged, no gradients."""
    top = ceiling(lm, rows, length).tokens_per_second
    seconds = _pass(lm, rows, length, times)
    return Share("forward", rows * length / seconds, top)


def compiled(lm: LocalLM, *, rows: int = ROWS, length: int = LENGTH, times: int = 7) -> Share:
    """The same with every layer compiled, which the model stays."""
    top = ceiling(lm, rows, length).tokens_per_second
    started = time.perf_counter()
    lm.compile()
    _pass(lm, rows, length, 1)
    warm_up = time.perf_counter() - started
    return Share("forward, compiled", rows * length / _pass(lm, rows, length, times), top, warm_up)


def tuning(lm: LocalLM, *, rows: int = ROWS, length: int = LENGTH, times: int = 5) -> Share:
    """Forwards, and back to the inputs and the LoRA matrices.

    The ceiling counts each product of the forward pass twice: the weights themselves have no gradients.
    """
    trained = adapters.attach(lm, generator=torch.Generator().manual_seed(0))
    lm.model.train()
    batch = _batch(rows, length)

    def both_ways() -> None:
        lm.hidden(batch).float().square().mean().backward()  # type: ignore[no-untyped-call]
        for parameter in trained:
            parameter.grad = None

    seconds = fastest(both_ways, times)
    adapters.detach(lm)
    lm.model.eval()
    return Share("tuning", rows * length / seconds, ceiling(lm, rows, length).tokens_per_second / 2)


def _pass(lm: LocalLM, rows: int, length: int, times: int) -> float:
    batch = _batch(rows, length)
    with lm.answering():
        return fastest(lambda: lm.hidden(batch), times)


def _batch(rows: int, length: int) -> Sequence[Encoded]:
    return [Encoded(list(range(100 + row, 100 + row + length)), []) for row in range(rows)]
