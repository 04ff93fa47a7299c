"""A language model -> how fast its matrix products alone would be on this machine: what nothing can beat."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from tastemaker.llm.local import LocalLM


@dataclass(frozen=True, slots=True)
class Ceiling:
    """All matrix products of a forward pass over rows of one length, and nothing else."""

    seconds: float
    flops: float
    tokens: int

    @property
    def tokens_per_second(self) -> float:
        """Positions."""
        return self.tokens / self.seconds

    @property
    def teraflops(self) -> float:
        """10^12 operations a second, a multiplication and an addition being two."""
        return self.flops / self.seconds / 1e12


@torch.no_grad()
def ceiling(lm: LocalLM, rows: int, length: int) -> Ceiling:
    """Every linear layer and both products of attention, each timed alone, on inputs of the right shapes."""
    tokens, config = rows * length, lm.config
    seconds = flops = 0.0
    for layer in list(lm.body.layers)[:1]:  # the layers are alike
        for module in layer.modules():
            weight = getattr(module, "weight", None)
            if weight is None or weight.ndim != 2:
                continue
            x = torch.randn(tokens, weight.shape[1]).to(lm.dtype)
            seconds += fastest(lambda x=x, w=weight: functional.linear(x, w))
            flops += 2 * tokens * weight.numel()
    heads, width = config.num_attention_heads, getattr(config, "head_dim", None)
    width = width or config.hidden_size // heads
    groups = heads // (getattr(config, "num_key_value_heads", None) or heads)
    query = torch.randn(rows * heads // groups, groups * length, width).to(lm.dtype)
    key = torch.randn(rows * heads // groups, length, width).to(lm.dtype)
    scores = query @ key.transpose(1, 2)
    for product in (lambda: query @ key.transpose(1, 2), lambda: scores @ key):
        seconds += fastest(product) / 2  # in causal order, half of the scores are looked at
        flops += 2 * rows * heads * length * length * width / 2
    depth = len(lm.body.layers)
    return Ceiling(seconds * depth, flops * depth, tokens)


def fastest(work: Callable[[], object], times: int = 7) -> float:
    """Seconds of the best of several goes: what the machine can do when it is not disturbed."""
    work()
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)
