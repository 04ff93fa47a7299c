"""Typed constraints -> which items keep to them, as a mask, as a search expression and in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import polars as pl

from tastemaker.errors import UsageError
from tastemaker.serve.chat.dialogue import Filter
from tastemaker.serve.chat.schema import Schema
from tastemaker.types import BoolArray


def mask(items: pl.DataFrame, filters: Iterable[Filter], schema: Schema) -> BoolArray:
    """``[item]``: True where all constraints hold. What is not known of an item holds only for ``is-not``."""
    holds = [_expression(one, schema) for one in filters]
    found: BoolArray = items.select(pl.all_horizontal(pl.lit(True), *holds).alias("holds"))["holds"].to_numpy()
    return found if len(found) == items.height else found.repeat(items.height)


def expression(filters: Iterable[Filter], schema: Schema) -> str:
    """The same for the search library: names checked against the catalogue's, values as quoted literals."""
    return " AND ".join(_sql(one, schema) for one in filters)


def require(filters: Iterable[Filter], schema: Schema) -> None:
    """Nothing, if every constraint is about a column the catalogue has; else `UsageError`."""
    for one in filters:
        kind = schema.kinds.get(one.field)
        if kind is None:
            raise UsageError(
                f"the catalogue has no column {one.field!r} to filter by; it has {', '.join(schema.kinds)}"
            )
        if kind == "number":
            _numbers(one)
        elif one.op in ("at-least", "at-most"):
            raise UsageError(f"{one.field} is not a number, so it cannot be {one.op.replace('-', ' ')}")


def words(filters: Sequence[Filter]) -> str:
    """The constraints as one reads them: ``comedy, not horror, year from 1980 to 1989``."""
    told = []
    for one in filters:
        if one.op in ("is", "is-not"):
            told.append(("not " if one.op == "is-not" else "") + " or ".join(_named(one, v) for v in _values(one)))
    for field in dict.fromkeys(one.field for one in filters if one.op in ("at-least", "at-most")):
        low = next((_plain(one.value) for one in filters if (one.field, one.op) == (field, "at-least")), "")
        high = next((_plain(one.value) for one in filters if (one.field, one.op) == (field, "at-most")), "")
        told.append(f"{field} from {low} to {high}" if low and high else f"{field} {low or high} or {_side(low)}")
    return ", ".join(told)


def _expression(one: Filter, schema: Schema) -> pl.Expr:
    require([one], schema)
    column = pl.col(one.field)
    kind = schema.kinds[one.field]
    if one.op == "at-least":
        return (column >= _numbers(one)[0]).fill_null(False)
    if one.op == "at-most":
        return (column <= _numbers(one)[0]).fill_null(False)
    if kind == "many":
        has = pl.any_horizontal(pl.lit(False), *(column.list.contains(value) for value in _values(one)))
    else:
        has = column.is_in(_numbers(one) if kind == "number" else _values(one))
    return has.fill_null(False) if one.op == "is" else ~has.fill_null(False)


def _sql(one: Filter, schema: Schema) -> str:
    require([one], schema)
    if one.op in ("at-least", "at-most"):
        return f"({one.field} {'>=' if one.op == 'at-least' else '<='} {_numbers(one)[0]!r})"
    if schema.kinds[one.field] == "number":
        any_of = [f"{one.field} = {number!r}" for number in _numbers(one)]
    elif schema.kinds[one.field] == "many":
        any_of = [f"array_has({one.field}, {_literal(value)})" for value in _values(one)]
    else:
        any_of = [f"{one.field} = {_literal(value)}" for value in _values(one)]
    has = " OR ".join(any_of)
    return f"({has})" if one.op == "is" else f"({one.field} IS NULL OR NOT ({has}))"


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _values(one: Filter) -> list[str]:
    return [str(value) for value in (one.value if isinstance(one.value, list) else [one.value])]


def _numbers(one: Filter) -> list[float]:
    try:
        numbers = [float(value) for value in (one.value if isinstance(one.value, list) else [one.value])]
    except ValueError:
        numbers = [math.nan]
    if not numbers or not all(map(math.isfinite, numbers)):
        raise UsageError(f"{one.field} is a number; {one.value!r} is not")
    return numbers


def _named(one: Filter, value: str) -> str:
    return f"{one.field} {_plain(value)}" if isinstance(one.value, int | float) else value


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _side(low: str) -> str:
    return "later" if low else "earlier"
