"""Slots in prompts -> vectors at their positions among the token embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from tastemaker.errors import PromptError
from tastemaker.prompts.prompt import Slot


class SlotFiller(Protocol):
    """What turns slots into vectors: a projector over item vectors, a table. Set as ``lm.filler``."""

    def __call__(self, slots: Sequence[Slot], /) -> Tensor:
        """One row per slot, [slot, hidden], in order; gradients flow back through it."""


def fill(embeddings: Tensor, places: Sequence[tuple[int, int, Slot]], filler: SlotFiller | None) -> Tensor:
    """The embeddings [row, position, hidden] with each slot's vector at its (row, position), and nothing else changed.

    Raises `PromptError` if there are slots but no filler, or if it does not give exactly one vector for each.
    """
    if not places:
        return embeddings
    if filler is None:
        raise PromptError(f"{len(places)} slots but nothing to fill them; set lm.filler or use without_slots()")
    rows, positions, slots = zip(*places, strict=True)
    vectors = filler(slots)
    if vectors.shape != (len(slots), embeddings.shape[-1]):
        expected = [len(slots), embeddings.shape[-1]]
        raise PromptError(f"vectors for {len(slots)} slots have shape {list(vectors.shape)}, expected {expected}")
    index = torch.tensor(rows, device=embeddings.device), torch.tensor(positions, device=embeddings.device)
    return embeddings.index_put(index, vectors.to(embeddings))
