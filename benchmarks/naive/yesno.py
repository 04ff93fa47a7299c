"""Yes/no prompts, one per user and target -> how much likelier Yes is, by a full forward pass each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.naive.model import Loaded

BATCH = 16


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of the prompts, in their order."""

    scores: list[float]
    """Logit of Yes less logit of No."""
    seconds: float


@torch.inference_mode()
def ask(lm: Loaded, prompts: Sequence[str], *, yes: str = " Yes", no: str = " No") -> Answered:
    """The first token of ``yes`` against the first of ``no``, read off logits of the whole vocabulary everywhere."""
    first = [lm.tokenizer(answer, add_special_tokens=False).input_ids[0] for answer in (yes, no)]
    if first[0] == first[1]:
        raise ValueError(f"{yes!r} and {no!r} begin with the same token; one token cannot tell them apart")
    started = time.perf_counter()
    scores: list[float] = []
    for start in range(0, len(prompts), BATCH):
        batch = lm.batch(prompts[start : start + BATCH])
        positions = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        logits = lm.model(**batch, position_ids=positions, use_cache=False).logits[:, -1].float()
        scores += (logits[:, first[0]] - logits[:, first[1]]).tolist()
    return Answered(scores, time.perf_counter() - started)
