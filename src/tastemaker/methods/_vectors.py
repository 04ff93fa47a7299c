"""A fitted model of yes/no questions -> the vectors it lends to slots, frozen, tuned further, or learned anew."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from tastemaker.collab.pointwise._network import Network, NetworkModel
from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.errors import UsageError
from tastemaker.types import BoolArray, Query

Learns = Literal["nothing", "further", "anew"]


class Vectors(nn.Module):
    """Item and user vectors of an encoder; zero for what training never saw."""

    table: Tensor
    known: Tensor
    network: Network | None

    def __init__(self, encoder: PointwiseModel, learns: Learns, generator: torch.Generator) -> None:
        """``learns``: what happens to the encoder while the mapper is tuned. Raises `UsageError` if it cannot."""
        super().__init__()
        self._encoder, self.network = encoder, None
        self.register_buffer("table", torch.from_numpy(np.array(encoder.item_vectors, dtype=np.float32)))
        self.register_buffer("known", torch.from_numpy(encoder.known_items), persistent=False)
        if learns == "nothing":
            return
        if not isinstance(encoder, NetworkModel):
            raise UsageError(f"{type(encoder).__name__} has no network that could be tuned; use stage cie or t3")
        self.network = copy.deepcopy(encoder.network)
        if learns == "anew":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
                fresh = encoder.fresh()
            # What does not learn, as a graph, stays.
            self.network.load_state_dict(dict(fresh.named_parameters()), strict=False)
        self.network.requires_grad_(True)

    @property
    def size(self) -> int:
        """Columns of the vectors."""
        return int(self.table.shape[1])

    def items(self) -> Tensor:
        """``[item, d]``."""
        if self.network is None:
            return self.table
        return self.network.item_table()[:-1] * self.known[:, None]

    def users(self, queries: Sequence[Query]) -> Tensor:
        """``[query, d]``: who asks; zero where nothing is known."""
        if self.network is None or not isinstance(self._encoder, NetworkModel):
            return torch.from_numpy(self._encoder.user_vectors(queries)).to(self.table)
        items = self._encoder.items_of([q.candidates[0] if q.candidates else -1 for q in queries])
        found = self.network.user(self._encoder.rows(queries, items))
        return found * torch.from_numpy(self.knows(queries)).to(found)[:, None]

    def knows(self, queries: Sequence[Query]) -> BoolArray:
        """``[query]``: whether there is a user vector."""
        return self._encoder.knows(queries)
