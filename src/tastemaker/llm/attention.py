"""Queries, keys and values -> attention by plain matrix products, which short sequences on a CPU run fastest.

Registered with transformers under `NAME`. In bf16 at 128-256 tokens, forward and backward together take some three
quarters of the time of its scaled-dot-product attention: keys shared by a group of queries are never repeated.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "matmul"
LONGEST = 1024
"""Beyond this many keys the table of scores costs more than it saves, and transformers' own attention takes over."""


def install(model: PreTrainedModel) -> bool:
    """Whether the model now runs on this attention; one that brings its own kind of attention keeps it."""
    if not (model._supports_attention_backend and model._supports_sdpa):
        return False
    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, additive_mask)
    model.set_attn_implementation(NAME)
    return True


def attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    softcap: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """The attended values, [batch, query, head, width]; without a mask every query sees the keys up to its own.

    ``query`` is [batch, head, query, width], ``key`` and ``value`` may have fewer heads, and ``attention_mask``
    broadcasts to [batch, head, query, key]: booleans (what may be seen), or numbers to be added to the scores.
    """
    length, keys = query.shape[2], key.shape[2]
    if (keys > LONGEST and softcap is None) or options.get("position_bias") is not None:
        other: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
        return other
    batch, heads, _, width = query.shape
    shared = key.shape[1]
    grouped = query.reshape(batch, shared, heads // shared * length, width)
    scores = (grouped * (width**-0.5 if scaling is None else scaling)) @ key.transpose(2, 3)
    scores = scores.view(batch, shared, heads // shared, length, keys)
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if (mask := _mask(attention_mask, module, query, keys, options.get("is_causal"))) is not None:
        scores = scores + (
            mask.unsqueeze(1) if mask.shape[1] == 1 else mask.view(-1, shared, heads // shared, *mask.shape[2:])
        )
    weights = functional.dropout(torch.softmax(scores, -1), dropout, dropout > 0)
    seen = weights.view(batch, shared, -1, keys) @ value
    return seen.view(batch, heads, length, -1).transpose(1, 2).contiguous(), None


def additive_mask(*args: Any, dtype: torch.dtype = torch.float32, **options: Any) -> Tensor | None:
    """The mask transformers asks for as numbers to add, made once for all layers; None if causal order is enough."""
    allowed = sdpa_mask(*args, **options)
    return None if allowed is None else additive(allowed, dtype)


def additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where a key may be seen, the lowest number where it may not."""
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill_(~allowed, torch.finfo(dtype).min)


def _mask(
    given: Tensor | None, module: torch.nn.Module, query: Tensor, keys: int, causal: bool | None
) -> Tensor | None:
    length = query.shape[2]
    if given is not None:
        mask = given[..., :keys]
        return additive(mask, query.dtype) if mask.dtype == torch.bool else mask
    if length == 1 or not (getattr(module, "is_causal", True) if causal is None else causal):
        return None
    return _triangle(length, keys, query.dtype, query.device)


@lru_cache(maxsize=256)
def _triangle(length: int, keys: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The causal mask of the last ``length`` of ``keys`` positions, [1, 1, length, keys]."""
    with torch.inference_mode(False):
        return additive(torch.ones(length, keys, dtype=torch.bool, device=device).tril(keys - length), dtype)[
            None, None
        ]
