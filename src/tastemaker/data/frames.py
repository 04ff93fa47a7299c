"""Any data frame -> the checked polars tables inside a `Dataset`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Protocol

import narwhals as nw
import polars as pl
import polars.selectors as cs

from tastemaker.errors import DataError, suggest

LAST_SECOND = 4_102_444_800
"""2100-01-01: a later time is a unit mistaken for seconds."""
SHOWN = 12
"""Columns an error lists."""
MAX_ID = 256
"""Characters an outside id may have."""
BAD_ID = rf"^$|^\s|\s$|\p{{Cc}}|^.{{{MAX_ID + 1}}}"
"""What no id may look like: empty, padded with spaces, with control characters, or endless."""


class Digest(Protocol):
    """The part of a ``hashlib`` hash that is used here."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""


def to_polars(frame: Any, what: str) -> pl.DataFrame:
    """The frame as polars. Raises `DataError` if it is no kind of frame that narwhals knows."""
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    try:
        known = nw.from_native(frame)
    except TypeError:
        raise DataError(f"{what}: expected a data frame (polars, pandas, Arrow), got {type(frame).__name__}") from None
    eager = known.collect(backend="polars") if isinstance(known, nw.LazyFrame) else known
    return eager.to_polars()


def nearest(name: str, columns: Iterable[str]) -> str:
    """The column that was probably meant, or the first of those there are."""
    known = list(columns)
    hint = suggest(name, known)
    return hint if hint.startswith("did") or len(known) <= SHOWN else f"{suggest(name, known[:SHOWN])}, ..."


def interaction_rows(frame: Any) -> pl.DataFrame:
    """Columns ``user_id``, ``item_id`` (str), ``rating`` (float32), ``time`` (int64 seconds), in the given order."""
    table = to_polars(frame, "interactions")
    if table.is_empty():
        raise DataError("interactions: there are no rows")
    return pl.DataFrame(
        {
            "user_id": _ids(table, "user_id", "interactions"),
            "item_id": _ids(table, "item_id", "interactions"),
            "rating": _ratings(table),
            "time": _times(table),
        }
    )


def entity_table(frame: Any, what: str, seen: pl.Series) -> tuple[pl.DataFrame, list[str]]:
    """The table of items or users, completed with the ids ``seen`` in interactions only, and notes about it."""
    key = f"{what}_id"
    if frame is None:
        table = pl.DataFrame({key: seen.unique(maintain_order=True)})
        return (_with_title(table) if what == "item" else table), []
    given = to_polars(frame, f"{what}s")
    table = given.with_columns(_ids(given, key, f"{what}s")).select(key, pl.exclude(key))
    if table[key].is_duplicated().any():
        twice = table[key].filter(table[key].is_duplicated())[0]
        raise DataError(f"{what}s: id {twice!r} is described twice; keep one row for each {what}")
    table = _attributes(_with_title(table) if what == "item" else table, what)
    missing = pl.DataFrame({key: seen.unique(maintain_order=True)}).join(
        table, on=key, how="anti", maintain_order="left"
    )
    if missing.is_empty():
        return table, []
    table = pl.concat([table, missing], how="diagonal")
    note = f"{missing.height:,} {what}s have interactions but no row of their own, so nothing else is known of them."
    return (_with_title(table) if what == "item" else table), [note]


def numbered(rows: pl.DataFrame, users: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """The rows with dense numbers instead of ids, sorted by user, then time, then as they came."""
    for table, what in ((users, "user"), (items, "item")):
        numbers = table.select(f"{what}_id", pl.int_range(pl.len(), dtype=pl.Int32).alias(what))
        rows = rows.join(numbers, on=f"{what}_id", how="left", maintain_order="left")
    return in_order(rows.select("user", "item", "rating", "time"))


def in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows by ``user``, then ``time``, then as they came: the order of every history."""
    return rows.sort("user", "time", maintain_order=True, nulls_last=True)


def check_numbered(rows: pl.DataFrame, users: pl.DataFrame, items: pl.DataFrame) -> None:
    """Raise ``ValueError`` unless these are the three tables of a `Dataset`."""
    schema = {"user": pl.Int32, "item": pl.Int32, "rating": pl.Float32, "time": pl.Int64}
    if dict(rows.schema) != schema or rows.is_empty():
        raise ValueError(f"interactions have columns {dict(rows.schema)}")
    texts = ((users, "user_id"), (items, "item_id"), (items, "title"))
    if any(table.schema.get(c) != pl.String or table[c].null_count() for table, c in texts):
        raise ValueError("a table lacks its ids or titles")
    for what, table in (("user", users), ("item", items)):
        numbers = rows[what]
        if numbers.null_count() or not numbers.is_between(0, table.height - 1).all():
            raise ValueError(f"interactions name {what}s that have no row")
    if not rows["user"].is_sorted():
        raise ValueError("interactions are not sorted by user")


def renumbered(table: pl.DataFrame, rows: pl.DataFrame, what: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The users or items that ``rows`` mention, and the rows with their new numbers."""
    kept = rows[what].unique().sort()
    new = pl.DataFrame({what: kept, "new": pl.int_range(len(kept), dtype=pl.Int32, eager=True)})
    moved = rows.join(new, on=what, how="left", maintain_order="left").with_columns(pl.col("new").alias(what))
    return table[kept], moved.drop("new")


def update(digest: Digest, frame: pl.DataFrame) -> None:
    """Feed a frame to a hash, column by column, the same on every machine and polars version."""
    for column in sorted(frame, key=lambda c: c.name):
        digest.update(f"{column.name}:{column.dtype}:{len(column)}\n".encode())
        if column.dtype.is_numeric():
            fixed = column.fill_null(0).to_numpy()
            digest.update(fixed.astype(fixed.dtype.newbyteorder("<")).tobytes())
            digest.update(column.is_null().to_numpy().tobytes())
        else:
            digest.update(json.dumps(column.to_list()).encode())


def update_listed(digest: Digest, facts: Iterable[object]) -> None:
    """Feed to a hash what ``json.dumps`` writes of the list of all facts, one of them at a time."""
    digest.update(b"[")
    for place, one in enumerate(facts):
        digest.update(f"{', ' if place else ''}{json.dumps(one)}".encode())
    digest.update(b"]")


def _column(table: pl.DataFrame, name: str, where: str) -> pl.Series:
    if name not in table.columns:
        raise DataError(f"{where}: no column {name!r}; {nearest(name, table.columns)}")
    return table[name]


def _ids(table: pl.DataFrame, name: str, where: str) -> pl.Series:
    column = _column(table, name, where)
    if not (column.dtype.is_integer() or column.dtype in (pl.String, pl.Categorical, pl.Enum)):
        raise DataError(f"{where}: column {name!r} holds {column.dtype}, not text or whole numbers; convert it first")
    text = column.cast(pl.String)
    _refuse(text.is_null() | text.str.contains(BAD_ID).fill_null(value=True), text, f"{where}: {name}", "is not an id")
    return text


def _ratings(table: pl.DataFrame) -> pl.Series:
    if "rating" not in table.columns:
        return pl.repeat(None, table.height, dtype=pl.Float32, eager=True).alias("rating")
    column = table["rating"]
    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        raise DataError(f"interactions: column 'rating' holds {column.dtype}, not numbers; convert it first")
    values = column.cast(pl.Float32)
    _refuse(~values.is_finite().fill_null(value=True), values, "interactions: rating", "is not a finite number")
    return values


def _times(table: pl.DataFrame) -> pl.Series:
    if "time" not in table.columns:
        return pl.repeat(None, table.height, dtype=pl.Int64, eager=True).alias("time")
    column = table["time"]
    if column.dtype in (pl.Datetime, pl.Date):
        column = column.cast(pl.Datetime("us")).dt.epoch("s")
    if not (column.dtype.is_numeric() or column.dtype == pl.Null):
        raise DataError(f"interactions: column 'time' holds {column.dtype}, not seconds or dates; convert it first")
    inside = (column.cast(pl.Float64) >= 0) & (column.cast(pl.Float64) < LAST_SECOND)
    reason = "is not in seconds between 1970 and 2100 (milliseconds? divide by 1000)"
    _refuse(~inside.fill_null(value=True), column, "interactions: time", reason)
    return column.cast(pl.Int64)


def _refuse(bad: pl.Series, values: pl.Series, where: str, reason: str) -> None:
    if bad.any():
        row = bad.arg_max() or 0
        value = values[row]
        shown = ascii(value[:60]) if isinstance(value, str) else value
        raise DataError(f"{where} {shown} in row {row + 1} {reason}")


def _with_title(table: pl.DataFrame) -> pl.DataFrame:
    title = pl.col("title").cast(pl.String).fill_null("") if "title" in table.columns else pl.lit("").alias("title")
    return table.with_columns(title).select("item_id", "title", pl.exclude("item_id", "title"))


def _attributes(table: pl.DataFrame, what: str) -> pl.DataFrame:
    table = table.with_columns(cs.temporal().cast(pl.String), cs.categorical().cast(pl.String))
    if "genres" in table.columns and table["genres"].dtype == pl.String:
        table = table.with_columns(pl.col("genres").str.split("|"))
    if "year" in table.columns:
        table = table.with_columns(pl.col("year").cast(pl.Int32, strict=False))
    for column in table:
        plain = column.dtype.is_numeric() or column.dtype in (pl.String, pl.Boolean, pl.List(pl.String), pl.Null)
        if not plain:
            raise DataError(f"{what}s: column {column.name!r} holds {column.dtype}; use text, numbers or lists of text")
    return table
