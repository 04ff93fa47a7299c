"""A table of interactions, and tables of items -> what can be read of them, and all that is wrong with the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from tastemaker.data.checkup._finding import FILE, FIRST, Finding, some
from tastemaker.data.checkup._form import NEEDED, changes
from tastemaker.data.readers import table
from tastemaker.data.readers._rows import BadRow
from tastemaker.data.readers.table import TableOptions
from tastemaker.errors import DataError

SKIP = "mend them, or leave them out with -o on_bad=skip"
ADVICE = {
    "user_id": f"take blanks off the ends, fill in what is empty: {SKIP}",
    "item_id": f"take blanks off the ends, fill in what is empty, keep one row for each item: {SKIP}",
    "rating": f"write plain numbers, 4 or 3.5: {SKIP}",
    "time": f"write all in one way, as seconds since 1970, milliseconds or dates like 2024-05-01: {SKIP}",
}
"""What to do about rows in which a column is at fault."""


@dataclass
class Tables:
    """The tables that could be read, each row with its file and line."""

    name: str
    interactions: pl.DataFrame | None = None
    items: pl.DataFrame | None = None
    apart: bool = False
    """Whether the items have a table of their own."""
    findings: list[Finding] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)


def read_tables(path: Path, items: Sequence[Path], options: Mapping[str, Any]) -> Tables:
    """What can be read at ``path`` and of the tables of items. Raises `ConfigError`, and `DataError` for no file."""
    given = table.options_of(TableOptions, options)
    files = table.files_of(path, given)
    described = list(items) or ([files.items] if files.items else [])
    for file in (*described, *([files.users] if files.users else [])):
        if not file.is_file():
            raise DataError("there is nothing here", file)
    found, tally = Tables(path.name, apart=bool(described)), _Tally(given)
    wanted = (*NEEDED, "rating", "time", *(() if described else ("title",)))
    with _telling(found):
        given = _learned(found, files.interactions, given, wanted)
        read = table.read_interactions(files.interactions, given, tally, described=not described)
        rows = _named(read, files.interactions)
        found.interactions = rows
        if not described:
            found.findings += [Finding("items", "odd", told, None) for told in table.described_twice(rows)]
            told = table.described(rows)
            found.items = None if told is None else _named(told, files.interactions)
    parts = []
    for file in described:
        with _telling(found):
            how = _learned(found, file, given, ("item_id", "title"), like=files.interactions)
            parts.append(_named(table.entities(file, "item_id", how, tally), file))
    if parts:
        found.items = _together(parts, found)
    if files.users:
        with _telling(found):
            table.entities(files.users, "user_id", given, tally)
    found.findings += tally.findings()
    return found


def unreadable(error: DataError) -> Finding:
    """The finding that a file cannot be read any further."""
    return Finding("file", "bad", f"cannot be read: {error}", None, advice="mend that, then look again")


class _Tally(table.Noticed):
    """Counts bad rows by what is wrong with them, as the reader tells them."""

    def __init__(self, options: TableOptions) -> None:
        super().__init__(options)
        self.kinds = Counter[tuple[Path, str, str]]()
        self.samples = dict[tuple[Path, str, str], list[BadRow]]()

    def __call__(self, bad: BadRow) -> None:
        kind = bad.path, bad.column, bad.problem
        self.kinds[kind] += 1
        if len(first := self.samples.setdefault(kind, [])) < FIRST:
            first.append(bad)

    def findings(self) -> list[Finding]:
        """What was wrong with rows, and which columns were taken for ours."""
        named = [Finding(ours, "odd", f"{theirs!r} is read as {ours}", None) for theirs, ours in self.columns]
        return named + [
            Finding(
                column or "rows",
                "bad",
                f"rows that cannot be used; {first[0].reason}",
                self.kinds[path, column, problem],
                tuple(f"{path.name}:{bad.line}" for bad in first),
                ADVICE.get(column, SKIP),
            )
            for (path, column, problem), first in self.samples.items()
        ]


@contextmanager
def _telling(found: Tables) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        found.findings.append(unreadable(error))


def _learned(
    found: Tables, file: Path, given: TableOptions, wanted: Sequence[str], like: Path | None = None
) -> TableOptions:
    """The options with which this file can be read; what had to be changed is told.

    One import reads all tables with one set of options, so a further table should be written ``like`` the first.
    """
    for change, now_given in changes(file, given, wanted):
        given = now_given
        if like is None:
            found.options[change.option] = change.value
        advice = f"write it as {like.name} is written" if like else f"say -o {change.option}={change.value}"
        first = change.first or (file.name,)
        found.findings.append(Finding(change.about, "bad", change.told, change.count, first, advice))
    return given


def _named(rows: pl.DataFrame, file: Path) -> pl.DataFrame:
    return rows.with_columns(pl.lit(file.name).alias(FILE))


def _together(parts: Sequence[pl.DataFrame], found: Tables) -> pl.DataFrame:
    """The items of all tables, each once."""
    items = pl.concat(parts, how="diagonal_relaxed")
    again = ~pl.col("item_id").is_first_distinct()
    advice = "keep one row for each item"
    found.findings += some("bad", "item_id", items.filter(again), "items that an earlier table describes", advice)
    if len(parts) > 1:
        told, advice = "more than one table of items", "an import takes one: put them into one file"
        found.findings.append(Finding("items", "odd", told, len(parts), advice=advice))
    return items.filter(~again)
