"""A catalogue's own columns -> what can be asked of them: which are numbers, which are kinds, and of what values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

Kind = Literal["number", "one", "many"]
"""A number; one value of a few, such as a language; a list of values, such as genres."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
"""Columns of other names cannot be asked about, since names stand in search expressions as they are."""
YEARS = ("year", "release_year", "published", "publication_year")
OWN = frozenset({"item_id", "title", "text", "vector", "added"})
MOST_VALUES, LONGEST_VALUE = 20_000, 40


@dataclass(frozen=True)
class Schema:
    """What the columns of one catalogue are; everything else in it is text to search."""

    kinds: Mapping[str, Kind]
    values: Mapping[str, frozenset[str]]
    """Of each column that is no number."""

    @classmethod
    def of(cls, items: pl.DataFrame) -> Schema:
        """The schema of these items."""
        kinds: dict[str, Kind] = {}
        values: dict[str, frozenset[str]] = {}
        for name, dtype in items.schema.items():
            if name in OWN or not NAME.fullmatch(name):
                continue
            if dtype.is_numeric():
                kinds[name] = "number"
            elif dtype == pl.List(pl.String):
                kinds[name], values[name] = "many", _distinct(items[name].explode())
            elif dtype == pl.String:
                found = _distinct(items[name])
                if found and max(map(len, found)) <= LONGEST_VALUE and len(found) <= MOST_VALUES:
                    kinds[name], values[name] = "one", found
        return cls(kinds, values)

    @property
    def year(self) -> str | None:
        """The column that says when things are from."""
        return next((name for name in YEARS if self.kinds.get(name) == "number"), None)


def _distinct(column: pl.Series) -> frozenset[str]:
    return frozenset(value for value in column.drop_nulls().unique().to_list() if value.strip())
