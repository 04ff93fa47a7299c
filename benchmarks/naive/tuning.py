"""Prompts with their answers -> LoRA adapters, with the defaults of `peft` and the loss of `transformers`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from benchmarks.naive.model import Loaded

BATCH = 8
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Tuned:
    """What some steps of training took."""

    losses: list[float]
    """Of each step's batch, before the step."""
    samples: int
    seconds: float

    @property
    def samples_per_second(self) -> float:
        """Examples learned from, each once, in a second."""
        return self.samples / self.seconds


class Tuner:
    """``Tuner(load(directory))(examples)`` takes a step for every eight examples, in the order given.

    Rank 8, alpha 16, all linear layers; fp32 adapters on a bf16 model, as peft makes them; rows padded to the
    longest; logits of the whole vocabulary everywhere, the loss on the answers. The model given is changed. A second
    call goes on with the same adapters and optimiser.
    """

    def __init__(self, lm: Loaded, *, learning_rate: float = 2e-4, seed: int = 0) -> None:
        self.tokenizer = lm.tokenizer
        config = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model: Any = get_peft_model(lm.model, config).train()
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=learning_rate, weight_decay=0.0)

    def __call__(self, examples: Sequence[tuple[str, str]]) -> Tuned:
        """One pass over examples of prompt and answer."""
        started = time.perf_counter()
        losses = [self._step(examples[start : start + BATCH]) for start in range(0, len(examples), BATCH)]
        return Tuned(losses, len(examples), time.perf_counter() - started)

    def _step(self, examples: Sequence[tuple[str, str]]) -> float:
        loss = self.model(**self._batch(examples), use_cache=False).loss
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        return float(loss.detach())

    def _batch(self, examples: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
        """Ids, mask and labels; labels are the answer's ids, and `IGNORED` elsewhere."""
        prompts = [self.tokenizer(prompt).input_ids for prompt, _ in examples]
        answers = [self.tokenizer(answer, add_special_tokens=False).input_ids for _, answer in examples]
        width = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True))
        ids = torch.full((len(examples), width), self.tokenizer.pad_token_id)
        mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
        for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            end = len(prompt) + len(answer)
            ids[row, :end] = torch.tensor(prompt + answer)
            labels[row, len(prompt) : end] = torch.tensor(answer)
            mask[row, :end] = 1
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}
