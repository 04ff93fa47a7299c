"""Prompts that list titles -> the title each answer names, by greedy generation of 64 tokens (LLaRA's release).

Its models are tuned without an end-of-text token, so nothing ends an answer early: all 64 tokens are paid for, and
what follows the first line is thrown away.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import GenerationConfig

from benchmarks.naive.model import Loaded

BATCH = 8
NEW_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Chosen:
    """What came of the prompts, in their order."""

    picked: list[int | None]
    """The title named, by its place in the prompt's list; None where the answer names none, or several."""
    texts: list[str]
    tokens: int
    """Generated in all."""
    seconds: float


@torch.inference_mode()
def choose(lm: Loaded, prompts: Sequence[str], titles: Sequence[Sequence[str]]) -> Chosen:
    """Which of its titles each prompt is answered with."""
    started = time.perf_counter()
    texts: list[str] = []
    tokens = 0
    for start in range(0, len(prompts), BATCH):
        batch = lm.batch(prompts[start : start + BATCH])
        answers = lm.model.generate(**batch, generation_config=_greedy(lm))[:, batch["input_ids"].shape[1] :]
        texts += lm.tokenizer.batch_decode(answers, skip_special_tokens=True)
        tokens += answers.numel()
    picked = [named(text, shown) for text, shown in zip(texts, titles, strict=True)]
    return Chosen(picked, texts, tokens, time.perf_counter() - started)


def named(text: str, titles: Sequence[str]) -> int | None:
    """The only title that occurs in the first line, whatever its case; None if there is no such title."""
    line = text.partition("\n")[0].strip().lower()
    found = [place for place, title in enumerate(titles) if title.lower() in line]
    return found[0] if len(found) == 1 else None


def _greedy(lm: Loaded) -> GenerationConfig:
    return GenerationConfig(
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
        use_cache=True,
        pad_token_id=lm.tokenizer.pad_token_id,
    )
