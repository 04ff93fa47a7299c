"""The Book-Crossing tables, quoted and in Latin-1, with `;` between the cells -> Dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.readers._cells import Cell, Decimal, Id, Text
from tastemaker.data.readers._rows import LINE, BadRow, Row, lines, refuse, typed
from tastemaker.data.readers.base import Reader, find
from tastemaker.errors import DataError

RATINGS: tuple[Cell, ...] = (Id("user_id"), Text("item_id"), Decimal("rating", 0, 10))
BOOKS = ("ISBN", "Book-Title", "Book-Author", "Year-Of-Publication", "Publisher")
NAMES = {"ratings": ("BX-Book-Ratings.csv", "Ratings.csv"), "books": ("BX-Books.csv", "BX_Books.csv", "Books.csv")}


class BookCrossing(Reader):
    """Ratings of books from 0, which says "read, not rated", to 10; no times. Titles carry their author.

    Rows of the book table that its broken quotes spoil are left out and counted; their books keep their ratings.
    """

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with ``BX-Book-Ratings.csv``."""
        return (path / NAMES["ratings"][0]).is_file()

    def read(self, path: Path, **options: Any) -> Dataset:
        """The dataset in the folder ``path``."""
        file = find(path, *NAMES["ratings"])
        skipped: list[BadRow] = []
        columns = [cell.column for cell in RATINGS]
        rows = typed(file, _rows(file, 3), columns, RATINGS, refuse)
        strange = rows.filter(pl.col("item_id").str.contains(r"^$|\p{Cc}") | (pl.col("item_id").str.len_chars() > 256))
        if not strange.is_empty():
            raise DataError(f"{strange['item_id'][0]!r} is not an ISBN", file, strange[LINE][0])
        books = _books(find(path, *NAMES["books"]), skipped)
        notes = [f"Skipped {len(skipped):,} rows of the table of books that are not well-formed."] if skipped else []
        return Dataset.from_frames(rows.drop(LINE), books, name="book-crossing", notes=notes, **options)


def _books(file: Path, skipped: list[BadRow]) -> pl.DataFrame:
    """Of two descriptions of a book the first holds, as ISBNs are told apart only by their case."""
    cells = tuple(Text(name) for name in BOOKS)
    names = [*BOOKS, "Image-S", "Image-M", "Image-L"]
    table = typed(file, _rows(file, len(names)), names, cells, skipped.append)
    table = table.filter(pl.col("ISBN") != "").unique("ISBN", keep="first", maintain_order=True)
    author = pl.col("Book-Author")
    titled = pl.when(author == "").then("Book-Title").otherwise(pl.format("{} by {}", "Book-Title", author))
    year = pl.col("Year-Of-Publication").cast(pl.Int32, strict=False)
    return table.select(
        pl.col("ISBN").alias("item_id"),
        titled.alias("title"),
        author.alias("author"),
        pl.when(year > 0).then(year).alias("year"),
    )


def _rows(file: Path, width: int) -> Iterator[Row]:
    r"""Cells in quotes with ``;`` between them, after the header; a quote inside is written ``\"`` or not at all."""
    for number, line, problem in lines(file, "latin-1"):
        text = line.rstrip("\r\n")
        if number == 1 or not text:
            continue
        cells = [cell.replace('\\"', '"').replace("&amp;", "&") for cell in text.strip('"').split('";"')]
        yield (
            number,
            problem or (cells if len(cells) == width else f"has {len(cells)} cells where {width} are expected"),
        )
