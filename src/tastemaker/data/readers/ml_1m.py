"""MovieLens-1M, from its official files or from Parquet files of the same rows -> Dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.readers._cells import Cell, Decimal, Seconds, Text, Whole, WholeId
from tastemaker.data.readers._movielens import year
from tastemaker.data.readers._parquet import read_parquet
from tastemaker.data.readers._rows import refuse, split_rows, typed, unique
from tastemaker.data.readers.base import Reader, find
from tastemaker.data.sources import Source
from tastemaker.errors import DataError

RATINGS: tuple[Cell, ...] = (WholeId("user_id"), WholeId("item_id"), Decimal("rating", 1, 5), Seconds("time"))
USERS: tuple[Cell, ...] = (
    WholeId("user_id"), Text("gender"), Whole("age", 0, 150), Whole("occupation", 0, 20), Text("zip_code"),
)  # fmt: skip
MOVIES: tuple[Cell, ...] = (WholeId("item_id"), Text("title"), Text("genres"))
FILES = ("ratings.dat", "ratings.parquet", "ratings_5core_chronological.parquet")


class ML1M(Reader):
    """6,040 users, 3,883 films of which 3,706 rated, 1,000,209 ratings from 1 to 5. For research; cite its paper."""

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            url="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
            sha256="a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
            max_bytes=20_000_000,
            members=("ml-1m/ratings.dat", "ml-1m/movies.dat", "ml-1m/users.dat"),
        ),
    )

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with ``movies.dat`` and ratings."""
        return (path / "movies.dat").is_file() and any((path / name).is_file() for name in FILES)

    def read(self, path: Path, **options: Any) -> Dataset:
        """The dataset in the folder ``path``, or with the ratings of the file ``path`` and the rest from beside it."""
        file = path if path.is_file() else find(path, *FILES)
        ratings, notes = _parquet(file) if file.suffix == ".parquet" else (_table(file, RATINGS), [])
        movies = unique(_table(file.with_name("movies.dat"), MOVIES), "item_id", file.with_name("movies.dat"), refuse)
        people = unique(_table(file.with_name("users.dat"), USERS), "user_id", file.with_name("users.dat"), refuse)
        return Dataset.from_frames(ratings, movies.with_columns(year()), people, name="ml-1m", notes=notes, **options)


def _table(path: Path, cells: tuple[Cell, ...]) -> pl.DataFrame:
    rows = split_rows(path, "::", len(cells), encoding="latin-1")
    return typed(path, rows, [c.column for c in cells], cells, refuse)


def _parquet(path: Path) -> tuple[pl.DataFrame, list[str]]:
    """Columns ``user_id``, ``movie_id``, ``rating``, perhaps ``timestamp`` and ``order``; -1 is no known place."""
    frame = read_parquet(path)
    names = {"movie_id": "item_id", "timestamp": "time"}
    frame = frame.rename({old: new for old, new in names.items() if old in frame.columns})
    wrong = frame.filter(~pl.col("rating").is_between(1, 5)) if "rating" in frame.columns else frame
    if not wrong.is_empty():
        raise DataError("needs a column 'rating' with numbers from 1 to 5", path)
    if "order" not in frame.columns:
        return frame, []
    unplaced = int((frame["order"] < 0).sum())
    note = f"{unplaced:,} ratings have no known place in their user's order; those without a time come first."
    return frame.sort("order", maintain_order=True), [note] if unplaced else []
