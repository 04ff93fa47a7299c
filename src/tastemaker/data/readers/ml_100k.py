"""MovieLens-100K, as its own archive holds it or as RecBole repackages it -> Dataset; the same facts from both."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.readers._cells import Cell, Decimal, Seconds, Text, Whole, WholeId
from tastemaker.data.readers._movielens import GENRES, year
from tastemaker.data.readers._rows import refuse, split_rows, typed
from tastemaker.data.readers.base import Reader, find
from tastemaker.data.sources import Source

RATINGS = (WholeId("user_id"), WholeId("item_id"), Decimal("rating", 1, 5), Seconds("time"))
USERS = (WholeId("user_id"), Whole("age", 0, 150), Text("gender"), Text("occupation"), Text("zip_code"))
UNTITLED = "unkonwn"
"""How RecBole's item file spells the one film whose title is ``unknown``."""


class ML100K(Reader):
    """943 users, 1,682 films, 100,000 ratings from 1 to 5. For research; cite Harper and Konstan (2015)."""

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
            md5="0e33842e24a9c977be4e0107933c0723",
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


def _official(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    columns = [c.column for c in RATINGS]
    ratings = typed(folder / "u.data", split_rows(folder / "u.data", "\t", 4), columns, RATINGS, refuse)
    columns = [c.column for c in USERS]
    rows = split_rows(folder / "u.user", "|", 5, encoding="latin-1")
    users = typed(folder / "u.user", rows, columns, USERS, refuse)
    return ratings, official_items(folder / "u.item"), users


def official_items(path: Path) -> pl.DataFrame:
    """Columns ``item_id``, ``title`` and ``genres`` of an official ``u.item``."""
    columns = ["item_id", "title", "release_date", "video_date", "url", *GENRES]
    cells = (WholeId("item_id"), Text("title"), *(Whole(genre, 0, 1) for genre in GENRES))
    items = typed(path, split_rows(path, "|", len(columns), encoding="latin-1"), columns, cells, refuse)
    flags = pl.concat_list(pl.when(pl.col(g) == 1).then(pl.lit(g)) for g in GENRES).list.drop_nulls()
    return items.select("item_id", "title", flags.alias("genres"))


def _recbole(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    def read(part: str, *cells: Cell) -> pl.DataFrame:
        path = folder / f"ml-100k.{part}"
        return typed(path, split_rows(path, "\t", len(cells), skip=1), [c.column for c in cells], cells, refuse)

    items = read("item", WholeId("item_id"), Text("title"), Text("year"), Text("genres"))
    titles = (
        pl.when(pl.col("title") == UNTITLED).then(pl.lit("unknown")).otherwise(pl.format("{} ({})", "title", "year"))
    )
    items = items.select("item_id", titles.alias("title"), pl.col("genres").str.split(" "))
    return read("inter", *RATINGS), items, read("user", *USERS)
