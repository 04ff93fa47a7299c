"""Amazon reviews of one category, as published in 2014 or 2018, with their metadata -> Dataset."""

from __future__ import annotations

import ast
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.frames import BAD_ID
from tastemaker.data.readers.base import Reader
from tastemaker.errors import DataError

REVIEWS = ("reviews_*.json", "*_5.json")
CHUNK = 200_000
Chunk = dict[str, list[Any]]


class AmazonReviews(Reader):
    """Reviews with ratings from 1 to 5 and times: a ``*_5.json`` or ``reviews_*.json`` file, ``meta_*.json`` beside it.

    Either may be gzipped. Items go by their ASIN. Of two descriptions of an item the last one holds, and of several
    reviews of an item by one user the first; ``repeats="keep"`` keeps them, as CoLLM did.
    """

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Such a file of reviews, or a folder with just one."""
        if path.is_dir():
            return len(_reviews(path)) == 1
        return any(path.match(pattern) or path.match(f"{pattern}.gz") for pattern in REVIEWS)

    def read(self, path: Path, *, meta: Path | None = None, repeats: str = "drop", **options: Any) -> Dataset:
        """The dataset of the reviews at ``path``; ``meta`` is where the items are described, if not beside them."""
        found = _reviews(path) if path.is_dir() else [path]
        if len(found) != 1:
            raise DataError(
                f"expected one file of reviews ({' or '.join(REVIEWS)}, perhaps .gz), found {len(found)}", path
            )
        rows = _read_reviews(found[0])
        items = _described(rows, meta or _meta_of(found[0]))
        name = found[0].name.partition(".")[0].removeprefix("reviews_").removesuffix("_5").lower()
        data = Dataset.from_frames(rows, items, **{"name": f"amazon-{name}", **options})
        return data if repeats == "keep" else data.without_repeats()


def _reviews(folder: Path) -> list[Path]:
    return sorted({file for pattern in REVIEWS for end in ("", ".gz") for file in folder.glob(f"{pattern}{end}")})


def _meta_of(reviews: Path) -> Path | None:
    return next((file for end in ("", ".gz") for file in sorted(reviews.parent.glob(f"meta_*.json{end}"))), None)


def _read_reviews(path: Path) -> pl.DataFrame:
    schema = {"user_id": pl.String, "item_id": pl.String, "rating": pl.Float64, "time": pl.Int64}
    parts, chunk = [], []
    for line, found in _objects(path):
        row = tuple(found.get(key) for key in ("reviewerID", "asin", "overall", "unixReviewTime"))
        user, item, rating, time = row
        if not (isinstance(user, str) and isinstance(item, str) and type(time) is int and _is_rating(rating)):
            raise DataError("is not a review with reviewerID, asin, overall (1 to 5) and unixReviewTime", path, line)
        chunk.append(row)
        if len(chunk) == CHUNK:
            parts.append(pl.DataFrame(chunk, schema=schema, orient="row"))
            chunk = []
    frame = pl.concat([*parts, pl.DataFrame(chunk, schema=schema, orient="row")])
    if frame.is_empty():
        raise DataError("there are no reviews", path)
    return frame


def _described(rows: pl.DataFrame, meta: Path | None) -> pl.DataFrame | None:
    """What the reviewed items are called, in order of ASIN; the last description of an item holds."""
    if meta is None:
        return None
    wanted = set(rows["item_id"].unique())
    titles: dict[str, str] = {}
    for _, found in _objects(meta):
        item, title = found.get("asin"), found.get("title")
        if isinstance(item, str) and item in wanted:
            titles[item] = title.strip() if isinstance(title, str) else ""
    table = pl.DataFrame(sorted(titles.items()), schema={"item_id": pl.String, "title": pl.String}, orient="row")
    return table.filter(~pl.col("item_id").str.contains(BAD_ID))


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file, one a line: JSON, or the Python literals in which the metadata of 2014 is written."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            for line, text in enumerate(file, start=1):
                if text.strip():
                    yield line, _object(path, line, text)
    except (OSError, EOFError, zlib.error) as e:
        raise DataError(f"cannot be read: {getattr(e, 'strerror', None) or e}", path) from None
    except UnicodeError:
        raise DataError("is not UTF-8 text", path) from None


def _object(path: Path, line: int, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            raise DataError("is neither JSON nor a Python literal", path, line) from None
    if not isinstance(found, dict):
        raise DataError("is not an object", path, line)
    return found


def _is_rating(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 5
