"""Interactions as they were read -> what is odd about users, items, ratings and times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import polars as pl

from tastemaker.data.checkup._finding import FILE, Finding, places, some
from tastemaker.data.readers._rows import LINE

SHORT = 3
"""Interactions a user needs so that one can be tested on, one validated on, and one is left to learn from."""
DOMINANT_SHARE, DOMINANT_TIMES = 0.1, 10
"""One user or item dominates with this share of all rows, if that is this many times the average one's."""
EARLY = 10_000_000
"""Seconds: April 1970, before which no time is meant. Seconds taken for milliseconds are there, and 0 for none."""
DAY = 86_400


def odd_interactions(rows: pl.DataFrame, items: pl.DataFrame | None, now: float) -> Iterator[Finding]:
    """Everything odd about the rows; ``items`` is the table of items, if there is one, ``now`` in seconds."""
    tables = [rows] if items is None else [rows, items]
    yield from alike("user_id", [rows])
    yield from alike("item_id", tables)
    yield from _repeated(rows)
    if items is not None:
        yield from _unknown(rows, items)
    yield from _short(rows)
    yield from _ratings(rows)
    yield from _times(rows, now)
    yield from chain.from_iterable(_dominant(rows, key) for key in ("user_id", "item_id"))


def alike(key: str, tables: Sequence[pl.DataFrame]) -> list[Finding]:
    """Ids that are the same but for blanks and capital letters."""
    where = [c for c in (key, FILE, LINE) if c in tables[0].columns]
    ids = pl.concat([table.select(where).unique(key, keep="first", maintain_order=True) for table in tables])
    ids = ids.unique(key, keep="first", maintain_order=True)
    plain = ids.select(pl.col(key).str.to_lowercase().str.replace_all(r"\s+", "")).to_series()
    if not plain.is_duplicated().any():
        return []
    again = ids.with_columns(plain=plain).filter(plain.is_duplicated())
    first, second = again.filter(pl.col("plain") == again["plain"][0])[key].head(2)
    told = f"ids that differ from another by blanks or capitals only, such as {first!r} and {second!r}"
    return some("odd", key, again, told, "if they mean the same, write it in one way; here they are two")


def _repeated(rows: pl.DataFrame) -> Iterator[Finding]:
    said = [c for c in ("user_id", "item_id", "rating", "time") if c in rows.columns]
    again = ~pl.struct(said).is_first_distinct()
    pair = ~pl.struct("user_id", "item_id").is_first_distinct()
    marked = rows.with_columns(again.alias("again"), pair.alias("pair"))
    advice = "leave one of them, or each counts; a user's history holds the item as often"
    yield from some("odd", "rows", marked.filter("again"), "rows that say the same as an earlier one", advice)
    other = marked.filter(pl.col("pair") & ~pl.col("again"))
    advice = "fine for songs and food; if a later rating replaces the earlier one, keep the last"
    told = "rows of a user with an item they had before, at another time or rating"
    yield from some("odd", "rows", other, told, advice)


def _unknown(rows: pl.DataFrame, items: pl.DataFrame) -> list[Finding]:
    strangers = rows.join(items.select("item_id"), on="item_id", how="anti", maintain_order="left")
    most = strangers.height * 2 > rows.height
    told = f"rows of {strangers['item_id'].n_unique():,} items that no table of items has"
    advice = "most ids agree with none: are they written in one way in both files?" if most else "add the items"
    return some("bad" if most else "odd", "item_id", strangers, told, f"{advice}; they have no title")


def _short(rows: pl.DataFrame) -> list[Finding]:
    where = [c for c in (FILE, LINE) if c in rows.columns]
    users = rows.group_by("user_id", maintain_order=True).agg(pl.col(where).first(), pl.len().alias("n"))
    short = users.filter(pl.col("n") < SHORT)
    told = f"users of {users.height:,} with fewer than {SHORT} interactions"
    return some("odd", "users", short, told, "nothing can be held out of them: they neither test nor validate")


def _ratings(rows: pl.DataFrame) -> Iterator[Finding]:
    if "rating" not in rows.columns:
        return
    known = rows["rating"].drop_nulls()
    if known.is_empty():
        yield Finding("rating", "odd", "no row has one", None, advice="leave the column out")
        return
    unrated = rows.filter(pl.col("rating").is_null())
    yield from some("odd", "rating", unrated, "rows without one", "a method that asks what is liked leaves them out")
    if known.n_unique() == 1 and known.len() > 1:
        advice = "one value says nothing of taste: who asks what is liked needs at least two"
        yield Finding("rating", "odd", f"all ratings are alike, {known[0]:g}", None, places(rows), advice)


def _times(rows: pl.DataFrame, now: float) -> Iterator[Finding]:
    if "time" not in rows.columns or rows["time"].null_count() == rows.height:
        if "order" not in rows.columns:
            advice = "the order of the file counts as the order of each history; is it?"
            yield Finding("time", "odd", "no row has one", None, advice=advice)
        return
    time = pl.col("time")
    yield from some("odd", "time", rows.filter(time.is_null()), "rows without one", "they stand last in a history")
    advice = "are these seconds, or a missing time written as 0?"
    yield from some("odd", "time", rows.filter(time < EARLY), "rows of early 1970", advice)
    advice = "set the clock right, or the unit: the newest rows are what is tested"
    yield from some("odd", "time", rows.filter(time > now + DAY), "rows of the future", advice)


def _dominant(rows: pl.DataFrame, key: str) -> Iterator[Finding]:
    counts = rows.group_by(key).len().sort("len", key, descending=[True, False])
    most, name = counts["len"][0], counts[key][0]
    if most / rows.height < DOMINANT_SHARE or most * counts.height < DOMINANT_TIMES * rows.height:
        return
    what = key.removesuffix("_id")
    told = f"rows of one {what}, {name!r}, {most / rows.height:.0%} of all"
    advice = "a test account, a crawler or a default value?" if what == "user" else "a default value, or a gift to all?"
    yield from some("odd", f"{what}s", rows.filter(pl.col(key) == name), told, advice)
