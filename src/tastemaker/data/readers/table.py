"""CSV, TSV, Parquet or JSONL tables with any column names -> Dataset; bad rows stop reading or are counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tastemaker.data.dataset import Dataset
from tastemaker.data.frames import nearest
from tastemaker.data.readers import _cells, _json
from tastemaker.data.readers._cells import Cell
from tastemaker.data.readers._columns import DESCRIBED, OURS, columns_of, renamed
from tastemaker.data.readers._parquet import read_parquet
from tastemaker.data.readers._rows import LINE, BadRow, OnBadRow, Row, csv_rows, first_of_each, refuse, typed
from tastemaker.data.readers.base import Reader
from tastemaker.errors import ConfigError, DataError, suggest

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl")
TIMES: dict[str, Cell] = {
    "seconds": _cells.Seconds("time", optional=True, otherwise="if not, say so: time=milliseconds or time=iso"),
    "milliseconds": _cells.Milliseconds("time", optional=True),
    "iso": _cells.Moment("time", optional=True),
}
Options = TypeVar("Options", bound="TableOptions")
NAMED = 20
"""How many skipped rows the dataset's note lists by line."""


class TableOptions(BaseModel):
    """How to read a table; an unknown option is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    name: str | None = None
    """What to call the dataset; the file's name if not given."""
    columns: Mapping[str, str | None] = {}
    """Our names -> the file's: ``{"user_id": "reviewerID", "item_id": "asin"}``. Ours: ``user_id``, ``item_id``,
    ``rating``, ``time``, ``order`` (a user's rows in their order, where there is no time), ``title``, ``year``,
    ``genres`` (separated by ``|``). What is not told is looked for by our name, then by the usual ones, such as
    ``userId`` or ``asin``; None: nothing is looked for."""
    items: Path | None = None
    """A table of the items; every further column of it becomes an attribute."""
    users: Path | None = None
    """A table of the users, likewise."""
    time: Literal["seconds", "milliseconds", "iso"] = "seconds"
    """How times are written; ISO dates are taken as UTC."""
    rating_range: tuple[float, float] = (-1e9, 1e9)
    """Ratings outside are bad rows."""
    delimiter: str | None = Field(None, min_length=1, max_length=1)
    r"""A comma, or a tab for ``.tsv``, if not given; ``\t`` is a tab."""
    encoding: str = "utf-8-sig"
    on_bad: Literal["error", "skip"] = "error"
    """``"error"`` stops at the first bad row; ``"skip"`` leaves bad rows out, counted in the dataset's notes."""
    report: OnBadRow | None = None
    """Called with every row that is skipped."""

    @field_validator("columns")
    @classmethod
    def _ours(cls, columns: Mapping[str, str | None]) -> Mapping[str, str | None]:
        for name in columns:
            if name not in OURS:
                raise ValueError(f"{name!r} is not a column of ours; {suggest(name, OURS)}")
        return columns

    @field_validator("delimiter", mode="before")
    @classmethod
    def _tab(cls, delimiter: object) -> object:
        return "\t" if delimiter == r"\t" else delimiter

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str) -> str:
        try:
            "".encode(encoding)
        except LookupError:
            raise ValueError(f"{encoding!r} is no encoding; try utf-8, utf-16, cp1252 or latin-1") from None
        return encoding


class Table(Reader):
    """Rows of user, item and, where known, rating and time, in the customary formats."""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A file whose suffix is one of `SUFFIXES`, or a folder with one ``interactions`` file of such a suffix."""
        return path.suffix.lower() in SUFFIXES or len(named(path, "interactions")) == 1

    def read(self, path: Path, **options: Any) -> Dataset:
        """The dataset of the table at ``path``; the options are the fields of `TableOptions`.

        A folder may hold ``interactions``, ``items`` and ``users``, each with any of `SUFFIXES`.
        """
        given = options_of(TableOptions, options)
        noticed, files = Noticed(given), files_of(path, given)
        rows = read_interactions(files.interactions, given, noticed, described=not files.items)
        return dataset_of(rows, path, given, noticed)


class Files(NamedTuple):
    """The tables of a dataset."""

    interactions: Path
    items: Path | None
    users: Path | None


class Noticed:
    """What reading a dataset's tables changed: bad rows, which it is called with, and columns of other names."""

    def __init__(self, options: TableOptions) -> None:
        self.options = options
        self.counts: dict[Path, int] = {}
        self.first: list[str] = []
        self.columns: dict[tuple[str, str], None] = {}

    def __call__(self, bad: BadRow) -> None:
        """Refuse the row, or count it, as the options say."""
        if self.options.on_bad == "error":
            refuse(bad)
        self.counts[bad.path] = self.counts.get(bad.path, 0) + 1
        if len(self.first) < NAMED:
            self.first.append(f"{bad.path.name}:{bad.line}")
        if self.options.report is not None:
            self.options.report(bad)

    def notes(self) -> list[str]:
        """One sentence for each kind."""
        total = sum(self.counts.values())
        more = f" and {total - NAMED:,} more" if total > NAMED else ""
        named = ", ".join(f"{theirs} as {ours}" for theirs, ours in self.columns)
        read = [f"Read {named}."] if named else []
        return [*read, f"Skipped {total:,} bad rows: {', '.join(self.first)}{more}."] if total else read


def options_of(kind: type[Options], options: Mapping[str, Any]) -> Options:
    """The options, checked. Raises `ConfigError` for one that is unknown or impossible."""
    for name in options:
        if name not in kind.model_fields:
            raise ConfigError(f"a table has no option {name!r}; {suggest(name, kind.model_fields)}")
    try:
        return kind(**options)
    except ValidationError as e:
        problem = e.errors()[0]
        reason = problem["msg"].removeprefix("Value error, ")
        raise ConfigError(f"table option {'.'.join(map(str, problem['loc']))}: {reason}") from None


def files_of(path: Path, options: TableOptions) -> Files:
    """The file or folder at ``path`` and the tables that the options name."""
    beside = {what: found[0] for what in ("interactions", "items", "users") if (found := named(path, what))}
    file = path if path.is_file() else beside.get("interactions", path)
    return Files(file, options.items or beside.get("items"), options.users or beside.get("users"))


def named(folder: Path, *names: str) -> list[Path]:
    """The tables in the folder that have one of these names."""
    files = (folder / f"{name}{suffix}" for name in names for suffix in SUFFIXES)
    return [file for file in files if file.is_file()]


def dataset_of(rows: pl.DataFrame, path: Path, options: TableOptions, noticed: Noticed) -> Dataset:
    """The dataset of these interactions, its items and users described by their tables or by the rows themselves."""
    files = files_of(path, options)
    items = entities(files.items, "item_id", options, noticed) if files.items else described(rows)
    users = entities(files.users, "user_id", options, noticed) if files.users else None
    notes = [*noticed.notes(), *([] if files.items else described_twice(rows))]
    name = options.name or (path.name if path.is_dir() else path.stem).lower()
    tables = (None if table is None else table.drop(LINE) for table in (items, users))
    return Dataset.from_frames(rows, *tables, name=name, notes=notes)


def read_interactions(path: Path, options: TableOptions, noticed: Noticed, *, described: bool) -> pl.DataFrame:
    """The rows with their lines; with what they say of the items, if that is where items are ``described``."""
    known: dict[str, Cell] = {
        "user_id": _cells.Id("user_id"),
        "item_id": _cells.Id("item_id"),
        "rating": _cells.Decimal("rating", *options.rating_range, optional=True),
        "time": TIMES[options.time],
        "order": _cells.Whole("order"),
    }
    known |= _descriptions() if described else {}
    header, rows = opened(path, options)
    columns = _columns(header, list(known), ("user_id", "item_id"), path, options, noticed)
    frame = typed(path, rows, columns, [cell for ours, cell in known.items() if ours in columns], noticed)
    return frame.sort("order", maintain_order=True) if "order" in columns else frame


def _descriptions() -> dict[str, Cell]:
    return {
        "title": _cells.Text("title"),
        "year": _cells.Whole("year", 0, 9999, optional=True),
        "genres": _cells.Text("genres"),
    }


def described(rows: pl.DataFrame) -> pl.DataFrame | None:
    """The items as their interactions describe them, by the first row of each; None if they do not."""
    columns = [name for name in DESCRIBED if name in rows.columns]
    if not columns:
        return None
    table = rows.select(LINE, "item_id", *columns).unique("item_id", keep="first", maintain_order=True)
    return _without_empty(table, [name for name in columns if name == "genres"])


def described_twice(rows: pl.DataFrame) -> list[str]:
    """One sentence for each column in which interactions describe items in several ways."""
    columns = [name for name in DESCRIBED if name in rows.columns]
    several = rows.group_by("item_id").agg(pl.col(columns).n_unique() > 1)
    counts = {name: int(several[name].sum()) for name in columns}
    return [f"{n:,} items have more than one {name}; the first one counts." for name, n in counts.items() if n]


def _without_empty(table: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    return table.with_columns(pl.col(name).replace("", None) for name in columns)


def entities(path: Path, key: str, options: TableOptions, noticed: Noticed) -> pl.DataFrame:
    """The items or the users, one row for each, with their lines."""
    header, rows = opened(path, options)
    ours = [key, *DESCRIBED] if key == "item_id" else [key]
    columns = _columns(header, ours, (key,), path, options, noticed, key=key)
    special = {**_descriptions(), key: _cells.Id(key)}
    cells = [special.get(name, _cells.Text(name)) for name in columns]
    table = first_of_each(typed(path, rows, columns, cells, noticed), key, path, noticed)
    return _without_empty(table, [c for c in columns if c not in (key, "title", "year")])


def _columns(
    header: list[str],
    ours: list[str],
    needed: tuple[str, ...],
    path: Path,
    options: TableOptions,
    noticed: Noticed,
    *,
    key: str | None = None,
) -> list[str]:
    """Our name for each column of the file; others keep theirs in a table with a ``key``, else get one no cell has."""
    told = options.columns
    found = columns_of(header, ours, told, path, key=key)
    names = {theirs: name for name, theirs in found.items()}
    columns = [names.get(c) or (c if key and c not in ours else f"{LINE}{c}") for c in header]
    for name in (*needed, *found):
        if name not in columns:
            theirs = found.get(name, name)
            what = f"no column for {name}" if theirs == name else f"no column {theirs!r} for {name}"
            raise DataError(f"{what}; {nearest(theirs, header)}; say which it is with columns.{name}", path, 1)
    noticed.columns |= dict.fromkeys(renamed(found, told))
    return columns


def opened(path: Path, options: TableOptions) -> tuple[list[str], Iterator[Row]]:
    """The names of the file's columns, and its rows as text."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet(path)
    if suffix == ".jsonl":
        return _json.rows(path, options.encoding)
    if suffix not in SUFFIXES and options.delimiter is None:
        raise DataError(f"is not a table; use one of {', '.join(SUFFIXES)}, or say which delimiter it has", path)
    rows = csv_rows(path, separator(path, options), encoding=options.encoding)
    line, header = next(rows, (1, "is empty"))
    if isinstance(header, str):
        raise DataError(header, path, line)
    if len(header) == 1 and (likely := likely_delimiter(header[0])):
        raise DataError(f"has one column only; is it separated by {likely!r}? then say so with delimiter", path, line)
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"two columns are named {twice!r}", path, line)
    return header, rows


def separator(path: Path, options: TableOptions) -> str:
    """What separates the fields of a CSV or TSV file."""
    return options.delimiter or ("\t" if path.suffix.lower() == ".tsv" else ",")


def likely_delimiter(header: str) -> str:
    """What seems to separate a header that was taken for one name; empty if nothing does."""
    return next((mark for mark in ",;\t|" if mark in header), "")


def _parquet(path: Path) -> tuple[list[str], Iterator[Row]]:
    frame = read_parquet(path)
    seconds = pl.selectors.temporal().cast(pl.Datetime("us")).dt.epoch("s")
    lists = pl.selectors.by_dtype(pl.List(pl.String)).list.join("|")
    whole = [column.name for column in frame if column.dtype.is_float() and _whole(column)]
    counted = pl.col(whole).cast(pl.Int64)
    try:
        text = frame.with_columns(seconds, lists, counted).cast(pl.String).fill_null("")
    except pl.exceptions.PolarsError as e:
        raise DataError(f"has columns that are not plain values: {str(e).splitlines()[0]}", path) from None
    return frame.columns, ((number, list(row)) for number, row in enumerate(text.iter_rows(), start=1))


def _whole(numbers: pl.Series) -> bool:
    """Whether they are integers that became floats, as pandas makes them where one is missing: 7.0 is the id 7."""
    return bool(((numbers == numbers.floor()) & (numbers.abs() < 2**53)).all())  # not with a NaN, which is above all
