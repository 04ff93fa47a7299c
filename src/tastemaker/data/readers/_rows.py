"""Text files -> checked columns; every bad row is named by file and line, none disappears."""

from __future__ import annotations

import csv
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from tastemaker.data.readers._cells import Cell
from tastemaker.errors import DataError

LONGEST_LINE = 1_000_000
CHUNK = 5_000
"""Rows that are lists before they are a frame. Ten times as many took half as long again: Python's collector of
reference cycles looks through all of them, again and again."""
SHOWN = 40
"""Characters of a bad value that are told."""
LINE = "\n"
"""The column of line numbers in what `typed` returns; no file has a column of that name."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used, and why."""

    path: Path
    line: int
    problem: str
    """What is wrong, in the same words for every row of which it is wrong."""
    column: str = ""
    """The column that is at fault, if one is."""
    value: str = ""

    @property
    def reason(self) -> str:
        """The whole sentence."""
        shown = self.value if len(self.value) <= SHOWN else self.value[:SHOWN] + "..."
        return f"{self.column} {shown!r} {self.problem}" if self.column else self.problem


OnBadRow = Callable[[BadRow], None]
Row = tuple[int, list[str] | str]
"""A line number with the row's fields, or with the reason why it has none."""


def refuse(bad: BadRow) -> None:
    """The strict way: the first bad row is an error."""
    raise DataError(bad.reason, bad.path, bad.line)


def lines(path: Path, encoding: str = "utf-8-sig") -> Iterator[tuple[int, str, str]]:
    r"""Each line's number, its text without the line end, and what is wrong with it (empty if nothing).

    Lines end at LF, CRLF or CR and nowhere else: U+2028 and the like are part of a title.
    """
    try:
        with path.open(encoding=encoding, errors="surrogateescape", newline="") as file:
            for number in itertools.count(1):
                line = file.readline(LONGEST_LINE + 1)
                if not line:
                    return
                if len(line) > LONGEST_LINE:
                    raise DataError(f"this line is longer than {LONGEST_LINE:,} characters", path, number)
                yield number, line, _problem(line, encoding)
    except OSError as e:
        raise DataError(f"cannot be read: {e.strerror}", path) from None
    except UnicodeError:
        raise DataError(f"is not {encoding} text; say which encoding it has", path) from None


def split_rows(path: Path, separator: str, width: int, *, encoding: str = "utf-8-sig", skip: int = 0) -> Iterator[Row]:
    """Rows of a file in which the separator always separates: no quotes, no escapes. Blank lines are passed over."""
    for number, line, problem in lines(path, encoding):
        text = line.rstrip("\r\n")
        if number <= skip or not text:
            continue
        fields = text.split(separator)
        yield number, problem or (fields if len(fields) == width else _wrong_width(width, len(fields)))


def csv_rows(path: Path, delimiter: str, *, encoding: str = "utf-8-sig", quote: str | None = '"') -> Iterator[Row]:
    """Rows of a CSV file, the header among them, each with the line on which it begins.

    What follows the first line of a row that cannot be read is read again: one stray quote costs one line. A line
    without a quote is a row of its own and is split as it is, which takes a third of the time.
    """
    unread = lines(path, encoding)
    taken, again = list[tuple[int, str, str]](), deque[tuple[int, str, str]]()

    def feed() -> Iterator[str]:
        while (line := again.popleft() if again else next(unread, None)) is not None:
            taken.append(line)
            yield line[1]

    quoting: Literal[0, 3] = csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL

    def fresh() -> Iterator[list[str]]:
        return csv.reader(feed(), delimiter=delimiter, quotechar=quote, quoting=quoting, strict=True)

    reader, longest = fresh(), csv.field_size_limit()
    while (line := again.popleft() if again else next(unread, None)) is not None:
        number, text, problem = line
        if len(text) <= longest and (quote is None or quote not in text):
            if bare := text.rstrip("\r\n"):
                yield number, problem or bare.split(delimiter)
            continue
        again.appendleft(line)
        taken.clear()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as e:
            yield taken[0][0], f"is not well-formed CSV: {e}"
            again.extendleft(reversed(taken[1:]))
            reader = fresh()
            continue
        if fields:
            yield taken[0][0], next((problem for _, _, problem in taken if problem), None) or fields


def typed(
    path: Path, rows: Iterator[Row], columns: Sequence[str], cells: Sequence[Cell], bad: OnBadRow
) -> pl.DataFrame:
    """The rows as a frame of their lines and one converted column for each cell; bad rows go to ``bad``, in order."""
    parts: list[pl.DataFrame] = []
    while chunk := list(itertools.islice(rows, CHUNK)):
        whole = [(number, fields) for number, fields in chunk if len(fields) == len(columns) and type(fields) is list]
        frame = pl.DataFrame([f for _, f in whole], schema=dict.fromkeys(columns, pl.String), orient="row")
        part, problems = _convert(frame, [number for number, _ in whole], path, cells)
        if len(whole) < len(chunk):
            problems += _misshapen(chunk, len(columns), path)
        parts.append(part)
        for problem in sorted(problems, key=lambda b: b.line):
            bad(problem)
    if not parts or not sum(p.height for p in parts):
        raise DataError("there are no usable rows", path)
    return pl.concat(parts)


def unique(table: pl.DataFrame, key: str, path: Path, bad: OnBadRow) -> pl.DataFrame:
    """The table without its line numbers and without rows whose key an earlier row has; those go to ``bad``."""
    return first_of_each(table, key, path, bad).drop(LINE)


def first_of_each(table: pl.DataFrame, key: str, path: Path, bad: OnBadRow) -> pl.DataFrame:
    """The same with its line numbers."""
    again = table.filter(~pl.col(key).is_first_distinct())
    for line, value in again.select(LINE, key).iter_rows():
        bad(BadRow(path, line, "has been described on an earlier line", key, value))
    return table.filter(pl.col(key).is_first_distinct())


def _convert(
    frame: pl.DataFrame, numbers: list[int], path: Path, cells: Sequence[Cell]
) -> tuple[pl.DataFrame, list[BadRow]]:
    checks = frame.select(c.ok().alias(c.column) for c in cells)
    fine = pl.select(pl.all_horizontal(checks.get_columns())).to_series()
    wrong: list[BadRow] = []
    for row in (~fine).arg_true():
        cell = next(c for c in cells if not checks[c.column][row])
        wrong.append(BadRow(path, numbers[row], cell.reason(), cell.column, frame[cell.column][row]))
    where = pl.Series(LINE, numbers, dtype=pl.Int64)
    return frame.with_columns(where).filter(fine).select(LINE, *(c.value().alias(c.column) for c in cells)), wrong


def _problem(line: str, encoding: str) -> str:
    if "\0" in line:
        return "holds a NUL character (is it UTF-16? say which encoding the file has)"
    if not line.isascii() and any("\ud800" <= c <= "\udfff" for c in line):
        return f"is not {encoding.removesuffix('-sig')} text; say which encoding the file has"
    return ""


def _misshapen(chunk: Sequence[Row], width: int, path: Path) -> list[BadRow]:
    reasons = [(n, f if isinstance(f, str) else _wrong_width(width, len(f))) for n, f in chunk]
    broken = [isinstance(f, str) or len(f) != width for _, f in chunk]
    return [BadRow(path, n, reason) for (n, reason), is_broken in zip(reasons, broken, strict=True) if is_broken]


def _wrong_width(expected: int, found: int) -> str:
    return f"has {found} fields where {expected} are expected"
