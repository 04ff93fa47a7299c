"""Hidden states and item vectors -> losses, dropout and number formats that are quick on a CPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

CELLS = 2**21
"""Cells of ``[row, item]`` held at a time, 4 MB of bf16: fewer and adding the chunks up costs more than cache saves."""
_BLOCK = 32  # rows and columns come in multiples of this: what matrix units like, and few shapes to prepare them for
_SPAN = 70.0  # how far a logit may lie above the wanted one: e**70 summed over ten million items is still a number


@cache
def matmul_dtype() -> torch.dtype:
    """bf16 where the processor has matrix units for it (AMX), which makes a product four times as fast; else fp32."""
    return torch.bfloat16 if torch.cpu._is_amx_tile_supported() else torch.float32


def dropout(values: Tensor, rate: float, training: bool) -> Tensor:
    """What ``functional.dropout`` gives, in a fifth of its time on a CPU; ``rate`` is rounded to a 65,536th."""
    dropped = round(rate * 2**16)
    if not training or not dropped:
        return values
    # Four random places from each 64-bit number drawn, instead of one.
    drawn = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    noise = drawn.view(torch.int16)[: values.numel()].view(values.shape)
    return values * ((noise >= dropped - 2**15) * (2**16 / (2**16 - dropped)))


class Dropout(nn.Module):
    """`dropout` as a module."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, values: Tensor) -> Tensor:
        return dropout(values, self.rate, self.training)


def catalogue_cross_entropy(hidden: Tensor, weight: Tensor, bias: Tensor, wanted: Tensor) -> Tensor:
    """The mean of -log softmax(hidden @ weight.T + bias)[wanted], without keeping ``[row, item]`` in memory.

    Of fp32 inputs the products are made in `matmul_dtype`, all sums in fp32.
    """
    loss: Tensor = _CatalogueCrossEntropy.apply(hidden, weight, bias, wanted)  # type: ignore[no-untyped-call]
    return loss


def sampled_binary(hidden: Tensor, weight: Tensor, bias: Tensor, wanted: Tensor) -> Tensor:
    """The papers' loss: the next item against one other item drawn uniformly (Kang and McAuley 2018, eq. 7)."""
    negative = torch.randint(len(weight) - 1, wanted.shape)
    both = torch.stack([wanted, negative + (negative >= wanted).long()])
    logits = (hidden * functional.embedding(both, weight)).sum(-1) + bias[both]
    return -(functional.logsigmoid(logits[0]) + functional.logsigmoid(-logits[1])).mean()


class _CatalogueCrossEntropy(torch.autograd.Function):
    """Gradients are made in the forward pass, while a chunk's exponentials are still in cache.

    Three products and one ``exp`` touch each cell, nothing else. ``items`` = [weight, bias, 1] and ``rows`` =
    [hidden, 1, -offset], where the offset is the wanted item's own logit, give logit - offset as ``rows @ items.T``;
    the exponentials of that times ``items`` have their sum in the column of ones; and ``rows`` over that sum, times
    the exponentials, is the gradient of weight and bias.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, wanted: Tensor) -> Tensor:
        n, d = hidden.shape
        fast = matmul_dtype() if hidden.dtype == torch.float32 else hidden.dtype
        chosen = weight[wanted]
        own = (hidden * chosen).sum(1) + bias[wanted]
        offset = own.to(fast).to(own.dtype, copy=True)
        far = hidden.norm(dim=1) * weight.norm(dim=1).max() + bias.max() - own > _SPAN  # by Cauchy-Schwarz, it may be
        items = _filled([weight, bias[:, None], torch.ones_like(bias)[:, None]], 1).to(fast)
        rows = _filled([hidden, torch.ones_like(own)[:, None], -offset[:, None]], _BLOCK).to(fast)
        sums, d_items = hidden.new_empty(rows.shape), hidden.new_zeros(items.T.shape)
        step = _even(len(rows), CELLS // len(items))
        room = rows.new_empty((step, len(items)))
        for begin in range(0, len(rows), step):
            part = slice(begin, min(begin + step, len(rows)))
            cells = torch.mm(rows[part], items.T, out=room[: part.stop - begin])
            if far[part].any():
                over = (cells.amax(1, keepdim=True) - _SPAN).clamp_(min=0)
                cells -= over
                offset[part] += over[: len(offset[part]), 0]
            sums[part] = torch.mm(cells.exp_(), items)
            total, target = sums[part, d + 1 : d + 2], wanted[part]
            cells[torch.arange(len(target)), target] -= total[: len(target), 0].to(fast)
            d_items += torch.mm((rows[part] / total).to(fast).T.contiguous(), cells)
        total = sums[:n, d + 1]
        d_hidden = sums[:n, :d] / total[:, None] - chosen
        ctx.save_for_backward(d_hidden / n, d_items[:d].T / n, d_items[d] / n)
        return (total.log() + offset - own).mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        d_hidden, d_weight, d_bias = ctx.saved_tensors
        return d_hidden * gradients[0], d_weight * gradients[0], d_bias * gradients[0], None


def _filled(columns: Sequence[Tensor], multiple: int) -> Tensor:
    """The columns side by side, filled up with zeros to whole blocks to the right, to a ``multiple`` of rows below."""
    width, n = sum(column.shape[1] for column in columns), len(columns[0])
    return functional.pad(torch.cat(list(columns), dim=1), (0, -width % _BLOCK, 0, -n % multiple))


def _even(n: int, most: int) -> int:
    """How many of ``n`` rows to take at a time, in whole blocks, so that all chunks have about ``most`` or fewer."""
    chunks = math.ceil(n / max(most, _BLOCK))
    return math.ceil(n / chunks / _BLOCK) * _BLOCK
