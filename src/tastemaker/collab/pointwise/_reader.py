"""A history of liked items -> what a network makes of it: models that know people by what they liked, not by id."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tastemaker.collab.pointwise._network import Network, NetworkModel, Rows, table
from tastemaker.types import BoolArray, Query


class Reader(Network):
    """Vectors of items, and a state after the newest of them; a subclass writes ``read``."""

    def __init__(self, n_items: int, size: int) -> None:
        super().__init__()
        self.items = table(n_items, size, size**-0.5)

    @abstractmethod
    def read(self, histories: Tensor, real: Tensor) -> Tensor:
        """``[history, d]`` after the newest item of ``histories`` ``[history, t]``; ``real`` is False for filling."""

    def user(self, rows: Rows) -> Tensor:
        """``[row, d]``: the state after the newest item; zero where nothing was liked."""
        histories, which = torch.unique_consecutive(rows.histories, dim=0, return_inverse=True)
        real = histories != len(self.items.weight) - 1
        states: Tensor = self.read(histories, real) * real[:, -1:]
        return states[which]

    def item_table(self) -> Tensor:
        """``[item, d]``."""
        return self.items.weight


class ReaderModel(NetworkModel):
    """The state after the last liked item meets the vector of the item asked about."""

    def knows(self, queries: Sequence[Query]) -> BoolArray:
        """``[query]``: whether a known item was liked."""
        return np.array([bool(self.read(query)) for query in queries], dtype=np.bool_)
