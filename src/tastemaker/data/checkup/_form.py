"""A table as it was written -> the options with which it can be read, and what is not as it was said to be."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tastemaker.data.checkup._finding import FIRST
from tastemaker.data.readers._columns import columns_of
from tastemaker.data.readers._rows import csv_rows, lines
from tastemaker.data.readers.table import TIMES, TableOptions, likely_delimiter, opened, separator
from tastemaker.errors import DataError

SAMPLE = 1000
"""Rows whose times are looked at before a table is read."""
PACKED = {b"PK\x03\x04": "a zip archive or an Excel workbook", b"\x1f\x8b": "packed by gzip"}
NEEDED = ("user_id", "item_id")


@dataclass(frozen=True, slots=True)
class Change:
    """An option that must be another than it was said to be, and why."""

    option: str
    value: str
    told: str
    about: str
    count: int | None = None
    first: tuple[str, ...] = ()


def changes(path: Path, options: TableOptions, wanted: Sequence[str]) -> Iterator[tuple[Change, TableOptions]]:
    """One after another, what must be changed to read the columns ``wanted``, with the options after the change."""
    _refuse_packed(path)
    for look in (_encoding, _delimiter):
        if path.suffix.lower() != ".parquet" and (change := look(path, options)):
            options = _changed(options, change)
            yield change, options
    header, rows = opened(path, options)
    found = columns_of(header, wanted, options.columns, path)
    _require_names(path, header, found)
    if (column := found.get("time")) in header:
        place = header.index(column)
        times = [row[place] for _, row in itertools.islice(rows, SAMPLE) if type(row) is list and len(row) > place]
        if late := _unit(path, [time for time in times if time], options):
            yield late, _changed(options, late)


def _changed(options: TableOptions, change: Change) -> TableOptions:
    return TableOptions.model_validate({**dict(options), change.option: change.value})


def _refuse_packed(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(4)
    for magic, what in PACKED.items():
        if start.startswith(magic):
            raise DataError(f"is {what}; unpack it, or save its sheet as CSV", path)


def _encoding(path: Path, options: TableOptions) -> Change | None:
    wide = "" if options.encoding.lower().startswith("utf-16") else _wide(path)
    if not wide and _decodes(path, options.encoding):
        return None
    candidates = (wide,) if wide else ("utf-8-sig", "cp1252", "latin-1")
    likely = next((one for one in candidates if one != options.encoding and _decodes(path, one)), None)
    if likely is None:
        return None
    name = options.encoding.removesuffix("-sig")
    if wide:
        return Change("encoding", wide, f"not written in {name}; it seems to be {wide}", "file")
    wrong = [number for number, _, problem in lines(path, options.encoding) if problem]
    first = tuple(f"{path.name}:{number}" for number in wrong[:FIRST])
    return Change("encoding", likely, f"lines not in {name}, likely {likely}", "file", count=len(wrong), first=first)


def _wide(path: Path) -> str:
    """The name of UTF-16 if the file begins as such a file does: with its mark, or with a letter and a NUL."""
    with path.open("rb") as file:
        start = file.read(2)
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    return {0: "utf-16-be", 1: "utf-16-le"}.get(start.find(0), "")


def _decodes(path: Path, encoding: str) -> bool:
    try:
        with path.open(encoding=encoding, newline="") as file:
            while file.read(1 << 20):
                pass
    except UnicodeError:
        return False
    return True


def _delimiter(path: Path, options: TableOptions) -> Change | None:
    if path.suffix.lower() == ".jsonl":
        return None
    given = separator(path, options)
    _, header = next(csv_rows(path, given, encoding=options.encoding), (1, []))
    likely = likely_delimiter(header[0]) if isinstance(header, list) and len(header) == 1 else ""
    if likely in ("", given):
        return None
    told = f"one column only where {_shown(given)!r} separates; it seems to be {_shown(likely)!r}"
    return Change("delimiter", _shown(likely), told, "file", first=(f"{path.name}:1",))


def _shown(mark: str) -> str:
    return r"\t" if mark == "\t" else mark


def _require_names(path: Path, header: list[str], found: Mapping[str, str]) -> None:
    """Raise `DataError` where the header seems to be a row."""
    if not found.keys() & set(NEEDED) and any(_is_number(name) for name in header):
        raise DataError("begins with a row instead of the names of the columns; put a line of names above", path, 1)


def _is_number(name: str) -> bool:
    return name.replace(".", "", 1).isdecimal()


def _unit(path: Path, times: list[str], options: TableOptions) -> Change | None:
    """How times are written, if most of the first are not as was said and are in one other way."""
    if not times:
        return None
    frame = pl.DataFrame({"time": times})
    fits = {name: int(frame.select(cell.ok().sum()).item()) for name, cell in TIMES.items()}
    best = max(fits, key=lambda name: fits[name])
    if fits[options.time] * 2 >= len(times) or fits[best] * 2 < len(times):
        return None
    told = f"not in {options.time} but in {best}: {fits[best]:,} of the first {len(times):,}"
    return Change("time", best, told, "time", first=(f"{path.name}:2",))
