"""Texts -> vectors: what a language model makes of each, read once per catalogue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tastemaker.llm import scoring
from tastemaker.llm.local import LocalLM
from tastemaker.prompts.prompt import Prompt
from tastemaker.types import FloatArray


def text_vectors(lm: LocalLM, prompts: Sequence[Prompt], size: int) -> FloatArray:
    """``[prompt, size]``: mean hidden states over each prompt, whitened to their leading ``size`` directions.

    Adapters and filler play no part. Fewer columns come back when there are fewer prompts or hidden units.
    """
    encoded = [lm.encode(prompt) for prompt in prompts]
    means = torch.empty(len(encoded), lm.hidden_size)
    with torch.no_grad():
        for group in scoring.batches([len(one) for one in encoded], scoring.budget(lm)):
            states = lm.hidden([encoded[i] for i in group]).float().cpu()
            for row, index in zip(states, group, strict=True):
                # The first position says the same whatever follows, and loudly.
                means[index] = row[min(1, len(encoded[index]) - 1) : len(encoded[index])].mean(0)
    left, _, _ = torch.linalg.svd(means - means.mean(0), full_matrices=False)
    whitened: FloatArray = (left[:, :size] * len(encoded) ** 0.5).numpy().astype(np.float32)
    # A direction's sign is the library's whim: fix it, so that the same texts give the same vectors.
    signs = np.sign(whitened[np.abs(whitened).argmax(axis=0), np.arange(whitened.shape[1])])
    return whitened * np.where(signs == 0, 1, signs).astype(np.float32)
