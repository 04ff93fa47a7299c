"""Train, valid and test as somebody split them, or as ``tastemaker data split`` wrote them -> their split."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import polars as pl
from pydantic import Field, model_validator

from tastemaker.data import frames
from tastemaker.data.dataset import Dataset
from tastemaker.data.preference import AnySplit
from tastemaker.data.readers._columns import OURS
from tastemaker.data.readers.base import SplitReader
from tastemaker.data.readers.table import (
    SUFFIXES,
    Noticed,
    TableOptions,
    dataset_of,
    files_of,
    named,
    options_of,
    read_interactions,
)
from tastemaker.data.saved_split import read_split
from tastemaker.data.splits._given import given_cases, given_judgements
from tastemaker.errors import ConfigError, DataError
from tastemaker.types import IntArray

PARTS = (("train",), ("valid", "val", "validation"), ("test",))
"""What the table of each part may be called."""


class SplitFilesOptions(TableOptions):
    """How to read the tables of a split, and what it asks."""

    min_rating: float | None = Field(None, allow_inf_nan=False)
    """The lowest rating that counts as liked, for a split that asks what is liked; None: it asks what comes next."""
    max_history: int | None = Field(None, ge=1)
    """How many of the latest items a row of what is liked shows; None: all."""

    @model_validator(mode="after")
    def _asks_what_is_liked(self) -> Self:
        if self.max_history is not None and self.min_rating is None:
            raise ValueError("max_history is of splits that ask what is liked; set min_rating too")
        return self


class SplitFiles(SplitReader):
    """Your own split: a folder with the tables ``train``, ``valid`` and ``test``, or what ``data split`` wrote."""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with a table of any part, and none of ``interactions``."""
        return bool(named(path, "train", *PARTS[1], "test")) and not named(path, "interactions")

    def read_split(self, path: Path, **options: Any) -> AnySplit:
        """The split in the folder ``path``; the options are the fields of `SplitFilesOptions`.

        Every row of valid and test is asked for and shows what its user had before it, in train, or in train and
        valid. ``items`` and ``users`` may lie beside. What ``data split`` wrote is read as it is, without options.
        """
        if (path / "manifest.json").is_file():
            if options:
                raise ConfigError(f"{path} was saved as a split and is read as it is; leave out {', '.join(options)}")
            return read_split(path)
        given = options_of(SplitFilesOptions, options)
        noticed = Noticed(given)
        described = not files_of(path, given).items
        files = [_file(path, names) for names in PARTS]
        tables = [read_interactions(file, given, noticed, described=described) for file in files]
        _require_alike(tables, files)
        rows = pl.concat(table.with_columns(part=pl.lit(at, pl.Int32)) for at, table in enumerate(tables))
        rows = rows.sort("order", maintain_order=True) if "order" in rows.columns else rows
        data = dataset_of(rows, path, given, noticed)
        parts = _in_order(rows, data)
        if given.min_rating is None:
            return given_cases(data, parts)
        return given_judgements(data, parts, given.min_rating, given.max_history)


def _file(folder: Path, names: tuple[str, ...]) -> Path:
    if not folder.is_dir():
        raise DataError("is no folder; bring one that holds the tables train, valid and test", folder)
    found = named(folder, *names)
    if len(found) > 1:
        raise DataError(f"holds both {found[0].name} and {found[1].name}; keep one of them", folder)
    if not found:
        others = "" if names != PARTS[1] else ", such as of the latest rows of train: models stop by it"
        raise DataError(f"holds no {names[0]} ({', '.join(SUFFIXES)}); put one there{others}", folder)
    return found[0]


def _require_alike(tables: list[pl.DataFrame], files: list[Path]) -> None:
    """Raise `DataError` where one part has a column of ours that another has not."""
    for name in OURS:
        having = [name in table.columns for table in tables]
        if any(having) and not all(having):
            other, bare = files[having.index(True)], files[having.index(False)]
            raise DataError(f"no column for {name}, which {other.name} has; give it to all parts or to none", bare, 1)


def _in_order(rows: pl.DataFrame, data: Dataset) -> IntArray:
    """The part of each of the dataset's interactions, which were these rows."""
    time = rows["time"] if "time" in rows.columns else pl.lit(None, pl.Int64)
    users = pl.Series(data.user_numbers(rows["user_id"].to_list()))
    parts: IntArray = frames.in_order(rows.select("part", user=users, time=time))["part"].to_numpy()
    return parts
