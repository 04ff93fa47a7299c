"""An item and what somebody knows -> one true sentence why it is shown, and the items that speak for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np

from tastemaker.prompts.clean import clean
from tastemaker.serve.chat.claims import Checker, Row
from tastemaker.serve.chat.lexicon import singular
from tastemaker.serve.chat.schema import Schema
from tastemaker.types import FloatArray

NAMED = 2
"""Items of the history that a reason names at most."""
Attribute = tuple[str, str]
"""A column and a value of it, such as ``("genres", "Crime")``; years are there by their decade."""


class Reasons:
    """Reasons within one catalogue: what is rare in it counts for more."""

    def __init__(self, rows: Sequence[Row], schema: Schema) -> None:
        self.schema, self.checker = schema, Checker(schema)
        holding: dict[Attribute, list[int]] = {}
        for place, row in enumerate(rows):
            for one in self.attributes(row):
                holding.setdefault(one, []).append(place)
        self._holding = {one: np.array(places) for one, places in holding.items()}
        self._rows, self._total = len(rows), max(1, len(rows))

    def extended(self, rows: Sequence[Row], schema: Schema) -> Reasons:
        """The same for ``rows``, the first of which are those it knows; in the time that the others take."""
        if schema.kinds != self.schema.kinds:
            return Reasons(rows, schema)  # other attributes, of all rows
        found = copy(self)
        found.schema, found._holding = schema, dict(self._holding)
        if schema.values != self.schema.values:
            found.checker = Checker(schema)
        for place in range(self._rows, len(rows)):
            for one in found.attributes(rows[place]):
                found._holding[one] = np.append(found._holding.get(one, np.zeros(0, np.int64)), place)
        found._rows, found._total = len(rows), max(1, len(rows))
        return found

    def attributes(self, row: Row) -> list[Attribute]:
        """What can be said of an item, in the order of its columns."""
        found: list[Attribute] = []
        for field, kind in self.schema.kinds.items():
            value = row.get(field)
            if kind == "many" and isinstance(value, list):
                found += [(field, str(one)) for one in dict.fromkeys(value) if one]
            elif kind == "one" and value:
                found.append((field, str(value)))
        year = row.get(self.schema.year or "")
        return [*found, ("decade", f"{int(year) // 10 * 10}s")] if isinstance(year, int | float) else found

    def overlap(self, row: Row, column: str = "") -> FloatArray:
        """``[item]``: how many attributes of the row, its decade left out, each item of the catalogue has.

        With ``column``, those of this column only, if there is such a column.
        """
        found = np.zeros(self._total, dtype=np.float32)
        columns = {column} & {*self.schema.values} or {*self.schema.values}
        for one in self.attributes(row):
            if one[0] in columns and one in self._holding:
                found[self._holding[one]] += 1
        return found

    def shared(self, one: Row, other: Row) -> list[Attribute]:
        """What both have."""
        theirs = {*self.attributes(other)}
        return [attribute for attribute in self.attributes(one) if attribute in theirs]

    def reason(self, row: Row, known: Mapping[str, Row], named: Mapping[str, Row]) -> tuple[str, list[str]]:
        """The sentence and the ids it rests on; ``named`` (by the person) goes before what is merely ``known``."""
        for rows, how in ((named, "which you named"), (known, "which you know")):
            told = self._sharing(row, rows, how)
            if told[0]:
                return told
        return self.plain(row) or "It fits what you asked for.", []

    def plain(self, row: Row) -> str:
        """What the catalogue says of an item, in one sentence; empty if there is nothing that can be said."""
        numbers = [name for name, kind in self.schema.kinds.items() if kind == "number" and row.get(name) is not None]
        attributes = [one for one in self.attributes(row) if one[0] != "decade"]
        attributes += [(name, f"{row[name]:g}") for name in numbers]
        told = f"It has {self._listed(attributes)}." if attributes else ""
        return "" if self.checker.wrong(told, [row]) else told

    def _sharing(self, row: Row, rows: Mapping[str, Row], how: str) -> tuple[str, list[str]]:
        common = {item_id: self.shared(row, other) for item_id, other in rows.items() if other is not row}
        order = sorted(common, key=lambda item_id: -self._weight(common[item_id]))[: 3 * NAMED]
        if not order or not common[order[0]]:
            return "", []
        all_share, ids = common[order[0]], [order[0]]
        for item_id in order[1:]:
            both = [one for one in all_share if one in common[item_id]]
            if len(ids) < NAMED and self._weight(both) > 0.6 * self._weight(all_share):
                all_share, ids = both, [*ids, item_id]
        titles = " and ".join(f'"{clean(str(rows[item_id]["title"]))}"' for item_id in ids)
        told = f"It shares {self._listed(all_share)} with {titles}, {how}."
        wrong = self.checker.wrong(told, [row, *(rows[item_id] for item_id in ids)])
        return ("", []) if wrong else (told, ids)

    def _weight(self, attributes: Sequence[Attribute]) -> float:
        return sum(math.log(1 + self._total / (1 + len(self._holding.get(one, ())))) for one in attributes)

    def _listed(self, attributes: Sequence[Attribute]) -> str:
        """``the genres Crime and Drama and the decade 1990s``."""
        columns: dict[str, list[str]] = {}
        for field, value in attributes:
            columns.setdefault(field, []).append(clean(value))
        told = [
            f"the {field if len(values) > 1 else singular(field)} {_and(values)}" for field, values in columns.items()
        ]
        return _and(told)


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
