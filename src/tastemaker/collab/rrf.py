"""Several collaborative models -> one, by reciprocal ranks: what any of them puts first is near the top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from tastemaker.collab.base import CollabConfig
from tastemaker.collab.ensemble import Ensemble, EnsembleConfig
from tastemaker.types import FloatArray, Query


class RRFConfig(EnsembleConfig):
    """Who has a say, and how steeply it falls with the rank."""

    k: float = Field(60.0, gt=0)
    """An item at place p of a member's list is worth 1 / (k + p)."""


class RRF(Ensemble):
    """Reciprocal rank fusion (Cormack et al. 2009): the members' orders count, the scale of their scores does not."""

    Config: ClassVar[type[CollabConfig]] = RRFConfig
    config: RRFConfig

    def _score(self, queries: Sequence[Query]) -> FloatArray:
        return reciprocal_ranks([member.score(queries) for member in self.members], k=self.config.k)


def reciprocal_ranks(tables: Sequence[FloatArray], *, k: float = 60.0) -> FloatArray:
    """``[query, item]``: the mean over the tables of 1 / (k + place), times k; items level in a table share a place."""
    total = np.zeros(tables[0].shape, dtype=np.float32)
    for table in tables:
        order = np.argsort(-table, axis=1, kind="stable")
        level = np.take_along_axis(table, order, axis=1)
        changes = np.diff(level, axis=1, prepend=np.inf) < 0
        places = np.maximum.accumulate(np.where(changes, np.arange(1, table.shape[1] + 1)[None], 0), axis=1)
        worth = np.empty(table.shape, dtype=np.float32)
        np.put_along_axis(worth, order, (k / (k + places)).astype(np.float32), axis=1)
        total += worth
    return total / np.float32(len(tables))
