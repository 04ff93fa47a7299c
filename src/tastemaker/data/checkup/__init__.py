"""Somebody's own files, or a dataset by name -> everything that is wrong or odd about them, and what to do."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tastemaker.data import known_name, load_dataset, locate, readers
from tastemaker.data.checkup._finding import Finding
from tastemaker.data.checkup._interactions import odd_interactions
from tastemaker.data.checkup._push import pushed
from tastemaker.data.checkup._tables import Tables, read_tables, unreadable
from tastemaker.data.checkup._titles import odd_titles
from tastemaker.data.dataset import Dataset
from tastemaker.data.readers.table import Table
from tastemaker.errors import DataError, UsageError
from tastemaker.types import Progress, quiet

__all__ = ["Checkup", "Finding", "checkup"]

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Checkup:
    """What was found."""

    name: str
    interactions: int
    users: int
    items: int
    """Rows, users and items that can be used; none if the files cannot be read."""
    findings: tuple[Finding, ...]
    """What is wrong first, then what is odd."""
    options: Mapping[str, str]
    """What a table's reader must be told beside what it was: ``{"time": "milliseconds"}``."""

    @property
    def good(self) -> bool:
        """Whether nothing is wrong; what is odd may be as it should."""
        return all(finding.state != "bad" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {"good": self.good} | asdict(self)


def checkup(
    name_or_path: StrPath,
    items: Sequence[StrPath] = (),
    progress: Progress = quiet,
    now: float | None = None,
    **options: Any,
) -> Checkup:
    """A look through data before anything is trained on it; what can be read is looked through, whatever else cannot.

    What `load_dataset` takes, with tables of ``items`` apart. A table is read leniently, in the way it seems to be
    written where that is not the way it is said to be. ``now``, in seconds, is when the future begins. Raises
    `DataError` where there is nothing, `SourceError`, `UnknownNameError`, and `ConfigError` for an unknown option.

    ``checkup("ratings.csv", ["films.csv"]).findings``
    """
    known, path = known_name(name_or_path), Path(name_or_path)
    moment = time.time() if now is None else now
    if known is None and _is_table(path):
        return _of_tables(read_tables(path, [Path(one) for one in items], options), moment)
    if items:
        raise UsageError(f"{name_or_path} brings its own items; leave out the others")
    there = path if known is None else locate(known, None, progress)
    try:
        data = load_dataset(path, None, progress, **options) if known is None else load_dataset(known, there, **options)
    except DataError as error:
        return Checkup(str(name_or_path), 0, 0, 0, (unreadable(error),), {})
    return _of_dataset(data, moment)


def _is_table(path: Path) -> bool:
    """Whether the reader of tables reads this, or no reader does; a dataset that was saved is no table."""
    if (path / "manifest.json").is_file():
        return False
    others = (readers.get(name) for name in readers.names() if name != "table")
    return Table.recognises(path) or (path.is_file() and not any(other.recognises(path) for other in others))


def _of_tables(found: Tables, now: float) -> Checkup:
    rows, items = found.interactions, found.items
    findings = list(found.findings)
    if rows is not None:
        findings += odd_interactions(rows, items if found.apart else None, now)
        findings += pushed(rows)
        if items is None and not found.apart:
            findings += odd_titles(rows)
    if items is not None:
        findings += odd_titles(items)
    return _summary(found.name, rows, items, findings, found.options)


def _of_dataset(data: Dataset, now: float) -> Checkup:
    numbers = data.interactions
    rows = pl.DataFrame(
        [
            data.users["user_id"].gather(numbers["user"]),
            data.items["item_id"].gather(numbers["item"]),
            *(numbers[name] for name in ("rating", "time") if numbers[name].null_count() < numbers.height),
        ]
    )
    findings = [Finding("reading", "odd", note, None) for note in data.notes]
    findings += [*odd_interactions(rows, None, now), *pushed(rows), *odd_titles(data.items)]
    return _summary(data.name, rows, data.items, findings, {})


def _summary(
    name: str,
    rows: pl.DataFrame | None,
    items: pl.DataFrame | None,
    findings: Iterable[Finding],
    options: Mapping[str, str],
) -> Checkup:
    tables = [table.select("item_id") for table in (rows, items) if table is not None]
    n_items = pl.concat(tables).n_unique() if tables else 0
    n_rows, n_users = (0, 0) if rows is None else (rows.height, rows["user_id"].n_unique())
    worst_first = tuple(sorted(findings, key=lambda finding: finding.state != "bad"))
    return Checkup(name, n_rows, n_users, n_items, worst_first, options)
