"""Tables of interactions, items and users -> one frozen `Dataset` with dense numbers inside."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from tastemaker.types import IntArray


@dataclass(frozen=True, eq=False)
class Dataset:
    """Who interacted with what, when, and what the items are called.

    ``interactions``: columns ``user`` and ``item`` (int32 row numbers), ``rating`` (float32 or null), ``time``
    (int64 seconds or null), sorted by user, then time, then the order of the file; that order is the history.
    ``items``: row i describes item i: ``item_id`` (str), ``title`` (str), then attributes, of which ``year``
    (int32) and ``genres`` (list[str]) are understood everywhere. ``users``: row i is user i: ``user_id`` (str) ...
    """

    name: str
    interactions: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame
    notes: tuple[str, ...] = field(default=())
    """What reading changed or noticed, one sentence each: shown by ``describe``."""
