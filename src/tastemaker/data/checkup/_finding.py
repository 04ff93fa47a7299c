"""Rows of somebody's tables -> a `Finding`: what is wrong or odd, how often, where first, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from tastemaker.data.readers._rows import LINE

State = Literal["bad", "odd"]
FIRST = 3
"""Examples a finding names."""
FILE = f"{LINE}file"
"""The column of file names in the tables that are looked through; no file has a column of that name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or odd."""

    about: str
    """The column, or ``file``, ``rows``, ``users`` ..."""
    state: State
    """``bad`` stops reading, or would make what is learned wrong; ``odd`` may be as it should be."""
    told: str
    """What was found: ``rows of items that have no row of their own``."""
    count: int | None
    """Of how many that is true; None where it is true of the whole file."""
    first: tuple[str, ...] = ()
    """Where the first of them are: ``ratings.csv:17``, or ``user 7 item 3`` where there are no lines."""
    advice: str = ""


def some(state: State, about: str, rows: pl.DataFrame, told: str, advice: str) -> list[Finding]:
    """A finding about these rows, if there are any."""
    return [Finding(about, state, told, rows.height, places(rows), advice)] if rows.height else []


def places(rows: pl.DataFrame) -> tuple[str, ...]:
    """Where the first of these rows are."""
    few = rows.head(FIRST)
    if LINE in few.columns:
        return tuple(f"{file}:{line}" for file, line in few.select(FILE, LINE).iter_rows())
    named = few.select(pl.col(c).alias(c.removesuffix("_id")) for c in ("user_id", "item_id") if c in few.columns)
    return tuple(" ".join(f"{what} {value}" for what, value in row.items()) for row in named.iter_rows(named=True))
