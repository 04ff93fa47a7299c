"""A directory of weights -> model and tokenizer, as `transformers` gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer


@dataclass(frozen=True, slots=True)
class Loaded:
    """A causal language model with default attention, not training, and its tokenizer."""

    model: Any
    tokenizer: Any

    def batch(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Ids and mask, padded on the left to the longest."""
        found: dict[str, Tensor] = self.tokenizer(list(texts), return_tensors="pt", padding=True, padding_side="left")
        return {name: found[name] for name in ("input_ids", "attention_mask")}


def load(directory: str | Path, *, dtype: torch.dtype = torch.bfloat16, threads: int = 2) -> Loaded:
    """The model in that directory. ``threads`` are the whole process's, so both sides of a comparison have them."""
    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=dtype, local_files_only=True)
    return Loaded(model.eval(), tokenizer)
