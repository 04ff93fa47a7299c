"""A number for every item -> the same answer for everybody: what models that only count keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.types import FloatArray, IntArray, Query


class ItemModel(PointwiseModel):
    """All that is learned is ``items``. A subclass writes ``_fit``."""

    items: FloatArray
    """``[item + 1]``, the unknown one last."""

    def _log_odds(self, queries: Sequence[Query], items: IntArray) -> FloatArray:
        return self.items[items]

    def _state(self) -> dict[str, np.ndarray[Any, Any]]:
        return {"items": self.items}

    def _restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None:
        self.items = np.asarray(state["items"], dtype=np.float32)
