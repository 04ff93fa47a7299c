"""Frozen item vectors -> slot vectors in a language model's embedding space, and hidden states -> item scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import skip_init

from tastemaker.errors import PromptError
from tastemaker.prompts.prompt import ItemSlot, Slot
from tastemaker.types import FloatArray, IntArray


class Mapper(nn.Module):
    """What is known of something -> its slot vector: linear, a curve, linear.

    With ``scale`` the output is brought to that root mean square, as wide as the token embeddings around it.
    """

    def __init__(
        self,
        width: int,
        hidden_size: int,
        *,
        scale: float | None,
        generator: torch.Generator,
        middle: int | None = None,
        curve: Literal["gelu", "relu"] = "gelu",
    ) -> None:
        """``width``: of what comes in; ``middle``: of the layer between, ``hidden_size`` unless given."""
        super().__init__()
        self.scale, self.curve = scale, functional.gelu if curve == "gelu" else functional.relu
        self.first = skip_init(nn.Linear, width, middle or hidden_size)
        self.second = skip_init(nn.Linear, middle or hidden_size, hidden_size)
        for layer in (self.first, self.second):
            bound = layer.in_features**-0.5
            with torch.no_grad():
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.uniform_(-bound, bound, generator=generator)

    def mapped(self, known: Tensor) -> Tensor:
        """[..., width] -> [..., hidden]."""
        projected: Tensor = self.second(self.curve(self.first(known)))
        if self.scale is not None:
            projected = functional.rms_norm(projected, projected.shape[-1:]) * self.scale
        return projected


class Projector(Mapper):
    """Fills item slots: linear, GELU, linear over an item's frozen vector (LLaRA, section 3.2, equation 4).

    With ``scale``, vectors are standardised before and the output is brought to that root mean square after, as wide
    as the token embeddings around it; without, both are left as they come. While ``hybrid`` is False the behaviour
    vectors are hidden: a slot holds what ``texts`` say of the item, or, without them, one frozen random vector.
    """

    vectors: Tensor
    texts: Tensor | None
    blank: Tensor
    hybrid: bool = True

    def __init__(
        self,
        vectors: FloatArray,
        hidden_size: int,
        *,
        scale: float | None,
        rms: float,
        generator: torch.Generator,
        texts: FloatArray | None = None,
    ) -> None:
        """``vectors``: [item, d]; ``texts``: [item, e]; ``rms``: of the token embeddings, for ``blank``."""
        width = vectors.shape[1] + (0 if texts is None else texts.shape[1])
        super().__init__(width, hidden_size, scale=scale, generator=generator)
        self.register_buffer("vectors", standard(vectors) if scale is not None else _tensor(vectors))
        self.register_buffer("texts", None if texts is None else standard(texts))
        self.register_buffer("blank", torch.randn(hidden_size, generator=generator) * rms)

    def forward(self, slots: Sequence[Slot]) -> Tensor:
        """[slot, hidden]; each distinct item is projected once. Raises `PromptError` for a user's slot."""
        if any(not isinstance(slot, ItemSlot) for slot in slots):
            raise PromptError("this projector has vectors for items only, not for users")
        if not self.hybrid and self.texts is None:
            return self.blank.expand(len(slots), -1)
        items = torch.tensor([slot.item for slot in slots if isinstance(slot, ItemSlot)], device=self.vectors.device)
        distinct, where = items.unique(return_inverse=True)
        seen = self.vectors[distinct] if self.hybrid else torch.zeros_like(self.vectors[distinct])
        known = seen if self.texts is None else torch.cat([seen, self.texts[distinct]], dim=1)
        return self.mapped(known)[where]


class ItemHead(nn.Module):
    """Scores of the whole catalogue from a hidden state: its query against each item's vector.

    The vectors are frozen, only a shift of each item's score is learned: with few examples a table of free vectors
    would be noise.
    """

    vectors: Tensor

    def __init__(self, tables: Sequence[FloatArray], counts: IntArray, hidden_size: int) -> None:
        """``tables``: [item, d] each; ``counts``: training interactions of each item, whence its first score."""
        super().__init__()
        table = torch.cat([_tensor(t) / _tensor(t).norm(dim=1).mean().clamp(min=1e-6) for t in tables], dim=1)
        self.register_buffer("vectors", table)
        self.query = skip_init(nn.Linear, hidden_size, table.shape[1])
        nn.init.zeros_(self.query.weight)
        nn.init.zeros_(self.query.bias)
        self.bias = nn.Parameter(torch.log1p(torch.from_numpy(np.array(counts))).float())

    def forward(self, hidden: Tensor, *, dropout: float = 0.0) -> Tensor:
        """[..., hidden] -> fp32 logits [..., item]."""
        states = functional.rms_norm(hidden.float(), hidden.shape[-1:])
        if dropout and self.training:
            states = functional.dropout(states, dropout)
        # The factor lets the query reach the range of logits within the first few hundred steps.
        logits: Tensor = 3.0 * self.query(states) @ self.vectors.T + self.bias
        return logits


def _tensor(table: FloatArray) -> Tensor:
    return torch.from_numpy(np.array(table, dtype=np.float32))


def standard(table: FloatArray) -> Tensor:
    """The table with columns around 0 and entries of deviation 1 overall."""
    tensor = _tensor(table)
    return (tensor - tensor.mean(0)) / tensor.std().clamp(min=1e-6)
