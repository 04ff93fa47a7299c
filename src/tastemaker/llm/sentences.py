"""Sentences -> vectors whose inner products say how near their meanings are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

from tastemaker.errors import LanguageModelError
from tastemaker.llm import zoo
from tastemaker.llm.scoring import batches
from tastemaker.types import FloatArray, Progress, quiet

DEFAULT = "all-minilm-l6-v2"
LONGEST = 256
"""Tokens read of a sentence, as all-MiniLM was trained; the rest is cut."""
_POSITIONS = 8192  # in a batch


class SentenceEncoder:
    """An encoder of transformers, mean pooling and unit length: ``SentenceEncoder.load().encode(["a quiet film"])``."""

    def __init__(self, model: Any, tokenizer: Any, *, name: str, fingerprint: str) -> None:
        self.model, self.tokenizer, self.name, self.fingerprint = model.eval(), tokenizer, name, fingerprint
        model.requires_grad_(False)

    @classmethod
    def load(cls, name_or_path: str | Path = DEFAULT, *, progress: Progress = quiet) -> Self:
        """The encoder of that name or in that directory, as `LocalLM.load` finds language models."""
        path = zoo.resolve(str(name_or_path), progress, models=zoo.ENCODERS)
        try:
            with zoo.silenced():
                tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
                model = AutoModel.from_pretrained(
                    path, dtype=torch.float32, use_safetensors=True, local_files_only=True
                )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as e:
            raise LanguageModelError(f"{path}: is not a sentence encoder that can be read: {e}") from e
        return cls(model, tokenizer, name=str(name_or_path), fingerprint=zoo.fingerprint(path))

    @property
    def size(self) -> int:
        """How long its vectors are."""
        return int(self.model.config.hidden_size)

    @torch.no_grad()
    def encode(self, texts: Sequence[str], *, progress: Progress = quiet) -> FloatArray:
        """``[text, size]`` unit vectors, rows in the order given; what a text becomes does not depend on the others."""
        ids = [
            self.tokenizer(text, truncation=True, max_length=LONGEST, split_special_tokens=True).input_ids
            for text in texts
        ]
        found = np.zeros((len(ids), self.size), dtype=np.float32)
        done = 0
        for group in batches([len(one) for one in ids], _POSITIONS):
            found[group] = self._pooled([ids[i] for i in group])
            done += len(group)
            progress("sentence vectors", done, len(ids))
        return found

    def _pooled(self, ids: list[list[int]]) -> FloatArray:
        width, device = max(map(len, ids)), next(self.model.parameters()).device
        padded = torch.zeros(len(ids), width, dtype=torch.long, device=device)
        mask = torch.zeros_like(padded)
        for row, one in enumerate(ids):
            padded[row, : len(one)] = torch.tensor(one, device=device)
            mask[row, : len(one)] = 1
        states = self.model(input_ids=padded, attention_mask=mask).last_hidden_state.float()
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        vectors: FloatArray = functional.normalize(mean, dim=-1).cpu().numpy()
        return vectors
