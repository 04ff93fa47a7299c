"""MovieLens-100K, as its own archive holds it or as RecBole repackages it -> Dataset; the same facts from both."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.readers._cells import Cell, Decimal, Seconds, Text, Whole, WholeId
from tastemaker.data.readers._movielens import GENRES, year
from tastemaker.data.readers._rows import refuse, split_rows, typed, unique
from tastemaker.data.readers.base import Reader, find
from tastemaker.data.sources import Source

RATINGS: tuple[Cell, ...] = (WholeId("user_id"), WholeId("item_id"), Decimal("rating", 1, 5), Seconds("time"))
USERS: tuple[Cell, ...] = (
    WholeId("user_id"),
    Whole("age", 0, 150),
    Text("gender"),
    Text("occupation"),
    Text("zip_code"),
)
UNTITLED = "unkonwn"
"""How RecBole's item file spells the one film whose title is ``unknown``."""


class ML100K(Reader):
    """943 users, 1,682 films, 100,000 ratings from 1 to 5. For research; cite Harper and Konstan (2015)."""

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
            sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
            max_bytes=20_000_000,
            members=("ml-100k/u.data", "ml-100k/u.item", "ml-100k/u.user"),
        ),
        Source(
            package="recbole==1.2.1",
            sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
            max_bytes=20_000_000,
            members=tuple(f"recbole/dataset_example/ml-100k/ml-100k.{part}" for part in ("inter", "item", "user")),
        ),
    )

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with ``u.data`` or ``ml-100k.inter``."""
        return (path / "u.data").is_file() or (path / "ml-100k.inter").is_file()

    def read(self, path: Path, **options: Any) -> Dataset:
        """The dataset in the folder ``path``, whichever of the two forms it holds."""
        ratings = find(path, "u.data", "ml-100k.inter")
        frames = _official(ratings.parent) if ratings.name == "u.data" else _recbole(ratings.parent)
        interactions, items, users = frames
        return Dataset.from_frames(interactions, items.with_columns(year()), users, name="ml-100k", **options)


def official_items(path: Path) -> pl.DataFrame:
    """Columns ``item_id``, ``title`` and ``genres`` of an official ``u.item``."""
    columns = ["item_id", "title", "release_date", "video_date", "url", *GENRES]
    cells: tuple[Cell, ...] = (WholeId("item_id"), Text("title"), *(Whole(genre, 0, 1) for genre in GENRES))
    rows = typed(path, split_rows(path, "|", len(columns), encoding="latin-1"), columns, cells, refuse)
    flags = pl.concat_list(pl.when(pl.col(g) == 1).then(pl.lit(g)) for g in GENRES).list.drop_nulls()
    return unique(rows, "item_id", path, refuse).select("item_id", "title", flags.alias("genres"))


def _official(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    ratings = _table(folder / "u.data", "\t", RATINGS)
    users = unique(_table(folder / "u.user", "|", USERS), "user_id", folder / "u.user", refuse)
    return ratings, official_items(folder / "u.item"), users


def _recbole(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    file = folder / "ml-100k.item"
    cells: tuple[Cell, ...] = (WholeId("item_id"), Text("title"), Text("year"), Text("genres"))
    items = unique(_table(file, "\t", cells, skip=1), "item_id", file, refuse)
    whole = (
        pl.when(pl.col("title") == UNTITLED).then(pl.lit("unknown")).otherwise(pl.format("{} ({})", "title", "year"))
    )
    items = items.select("item_id", whole.alias("title"), pl.col("genres").str.split(" "))
    file = folder / "ml-100k.user"
    users = unique(_table(file, "\t", USERS, skip=1), "user_id", file, refuse)
    return _table(folder / "ml-100k.inter", "\t", RATINGS, skip=1), items, users


def _table(path: Path, separator: str, cells: tuple[Cell, ...], *, skip: int = 0) -> pl.DataFrame:
    rows = split_rows(path, separator, len(cells), encoding="latin-1" if separator == "|" else "utf-8", skip=skip)
    return typed(path, rows, [c.column for c in cells], cells, refuse)
