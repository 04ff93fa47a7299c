"""A Dataset -> train, valid and test by a named protocol, with counts and a hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.types import IntArray, Item, Query


@dataclass(frozen=True, slots=True)
class Case:
    """One test: a query and the item the user really chose."""

    query: Query
    positive: Item


@dataclass(frozen=True, eq=False)
class Split:
    """A named protocol applied to a dataset.

    ``train``: rows of ``dataset.interactions`` that may be learned from, same columns and order.
    ``valid``, ``test``: one `Case` per evaluated user; ``query.history`` is all the protocol lets a model see.
    """

    dataset: Dataset
    name: str
    settings: Mapping[str, int | float | str]
    train: pl.DataFrame
    valid: tuple[Case, ...]
    test: tuple[Case, ...]

    @cached_property
    def sequences(self) -> list[IntArray]:
        """Each training user's items, oldest first, one array per user who has any train rows."""
        groups = self.train.group_by("user", maintain_order=True).agg("item")["item"]
        return [np.asarray(s, dtype=np.int32) for s in groups]
