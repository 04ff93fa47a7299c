"""Frozen item vectors -> slot vectors in a language model's embedding space, and hidden states -> item scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.errors import PromptError
from tastemaker.prompts.prompt import ItemSlot, Slot
from tastemaker.types import FloatArray


class Projector(nn.Module):
    """Fills item slots: linear, GELU, linear over an item's frozen vector (LLaRA, section 3.2, equation 4).

    With ``scale``, vectors are standardised before and the output is brought to that root mean square after, as wide
    as the token embeddings around it; without, both are left as they come. While ``hybrid`` is False every slot holds
    one frozen random vector instead, which says nothing about the item: the text-only prompt of the same length.
    """

    vectors: Tensor
    blank: Tensor
    hybrid: bool = True

    def __init__(
        self, vectors: FloatArray, hidden_size: int, *, scale: float | None, rms: float, generator: torch.Generator
    ) -> None:
        """``vectors``: [item, d]; ``rms``: of the token embeddings, for ``blank``."""
        super().__init__()
        table = torch.from_numpy(np.array(vectors, dtype=np.float32))
        if scale is not None:
            table = (table - table.mean(0)) / table.std().clamp(min=1e-6)
        self.scale = scale
        self.first, self.second = nn.Linear(table.shape[1], hidden_size), nn.Linear(hidden_size, hidden_size)
        for layer in (self.first, self.second):
            bound = layer.in_features**-0.5
            with torch.no_grad():
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.uniform_(-bound, bound, generator=generator)
        self.register_buffer("vectors", table)
        self.register_buffer("blank", torch.randn(hidden_size, generator=generator) * rms)

    def forward(self, slots: Sequence[Slot]) -> Tensor:
        """[slot, hidden]; each distinct item is projected once. Raises `PromptError` for a user's slot."""
        if any(not isinstance(slot, ItemSlot) for slot in slots):
            raise PromptError("this projector has vectors for items only, not for users")
        if not self.hybrid:
            return self.blank.expand(len(slots), -1)
        items = torch.tensor([slot.item for slot in slots if isinstance(slot, ItemSlot)], device=self.vectors.device)
        distinct, where = items.unique(return_inverse=True)
        projected: Tensor = self.second(functional.gelu(self.first(self.vectors[distinct])))
        if self.scale is not None:
            projected = functional.rms_norm(projected, projected.shape[-1:]) * self.scale
        return projected[where]


class ItemHead(nn.Module):
    """Scores of the whole catalogue from a hidden state: its query against each item's vector.

    Item vectors are the collaborative model's, frozen but for a learned shift of each item's score: with few
    examples a table of free vectors would be noise.
    """

    vectors: Tensor

    def __init__(self, vectors: FloatArray, counts: np.ndarray[tuple[int], np.dtype[np.int32]], hidden_size: int) -> None:
        """``vectors``: [item, d]; ``counts``: training interactions of each item, from which its first score comes."""
        super().__init__()
        table = torch.from_numpy(np.array(vectors, dtype=np.float32))
        self.register_buffer("vectors", table / table.norm(dim=1).mean().clamp(min=1e-6))
        self.query = nn.Linear(hidden_size, table.shape[1])
        nn.init.zeros_(self.query.weight)
        nn.init.zeros_(self.query.bias)
        self.bias = nn.Parameter(torch.log1p(torch.from_numpy(np.array(counts))).float())

    def forward(self, hidden: Tensor, *, dropout: float = 0.0) -> Tensor:
        """[..., hidden] -> fp32 logits [..., item]."""
        states = functional.rms_norm(hidden.float(), hidden.shape[-1:])
        if dropout and self.training:
            states = functional.dropout(states, dropout)
        # The factor lets the query reach the range of logits within the first few hundred steps.
        return 3.0 * self.query(states) @ self.vectors.T + self.bias
