"""Queries, keys and values -> attention that a CPU runs fast, forwards and backwards.

Registered with transformers under `NAME`. Without gradients it is torch's own, which never writes the scores down.
With gradients that one is slow on the way back; here the way back is plain matrix products over scores made anew, in
which keys shared by a group of queries are never repeated.
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
"""Beyond this many keys the table of scores costs more than it saves on the way back: transformers' own takes over."""


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
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    written_out = softcap is not None or dropout > 0
    if not written_out and (key.shape[2] > LONGEST or options.get("position_bias") is not None):
        own: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
        return own
    mask = _mask(attention_mask, module, query, key.shape[2], options.get("is_causal"))
    if written_out:
        return _plainly(query, key, value, mask, dropout, scale, softcap), None
    triangular = attention_mask is None and mask is not None and query.shape[2] == key.shape[2]
    seen: Tensor = _Attention.apply(query, key, value, mask, triangular, scale)  # type: ignore[no-untyped-call]
    return seen.transpose(1, 2).contiguous(), None


class _Attention(torch.autograd.Function):
    """Torch's own attention forwards; backwards, the weights once more and five matrix products."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, triangular: bool, scale: float
    ) -> Tensor:
        ctx.save_for_backward(query, key, value, mask)
        ctx.scale = scale
        return functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=None if triangular else mask,
            is_causal=triangular,  # which need not look at half of the scores
            scale=scale,
            enable_gqa=key.shape[1] != query.shape[1],
        )

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask = ctx.saved_tensors
        shape = query.shape
        asked, given = _grouped(query, key), _grouped(gradient, key)
        weights = torch.softmax(_scores(asked * ctx.scale, key, mask, shape[2]), -1)
        flat = weights.view(*asked.shape[:3], -1)
        of_weights = (given @ value.transpose(2, 3)).view_as(weights)
        of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype).view_as(flat)
        of_query = ((of_scores @ key) * ctx.scale).view(shape)
        of_key = (of_scores.transpose(2, 3) @ asked) * ctx.scale
        return of_query, of_key, flat.transpose(2, 3) @ given, None, None, None


def _plainly(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float, scale: float, softcap: float | None
) -> Tensor:
    """Attention written out, for what torch's own does not do: a soft cap on the scores, dropout on the weights."""
    scores = (_grouped(query, key) * scale) @ key.transpose(2, 3)
    scores = scores.view(*key.shape[:2], -1, query.shape[2], key.shape[2])
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if mask is not None:
        scores = scores + _over_groups(mask, scores)
    weights = functional.dropout(torch.softmax(scores, -1), dropout, dropout > 0)
    seen = weights.view(*key.shape[:2], -1, key.shape[2]) @ value
    return seen.view(*query.shape[:3], -1).transpose(1, 2).contiguous()


def _grouped(query: Tensor, key: Tensor) -> Tensor:
    """[batch, key head, group * query, width]."""
    return query.reshape(*key.shape[:2], -1, query.shape[3])


def _scores(asked: Tensor, key: Tensor, mask: Tensor | None, length: int) -> Tensor:
    """[batch, key head, group, query, key]."""
    scores = (asked @ key.transpose(2, 3)).view(*key.shape[:2], -1, length, key.shape[2])
    return scores if mask is None else scores.add_(_over_groups(mask, scores))


def _over_groups(mask: Tensor, scores: Tensor) -> Tensor:
    if mask.shape[1] == 1:
        return mask.unsqueeze(1)
    return mask.view(-1, scores.shape[1], scores.shape[2], *mask.shape[2:])


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


def _triangle(length: int, keys: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The causal mask of the last ``length`` of ``keys`` positions, [1, 1, length, keys]: a piece of the one kept."""
    whole = _whole(dtype, device) if keys <= LONGEST else _made(keys, dtype, device)
    return whole[keys - length : keys, :keys][None, None]


@lru_cache(maxsize=8)
def _whole(dtype: torch.dtype, device: torch.device) -> Tensor:
    return _made(LONGEST, dtype, device)


def _made(keys: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return additive(torch.ones(keys, keys, dtype=torch.bool, device=device).tril(), dtype)
