"""A Parquet file -> a frame with the columns a reader needs, ids as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tastemaker.data.frames import nearest
from tastemaker.errors import DataError


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The named columns (or all). Whole numbers in columns that end in ``_id`` become text."""
    try:
        found = list(pl.read_parquet_schema(path))
        for column in columns or ():
            if column not in found:
                raise DataError(f"no column {column!r}; {nearest(column, found)}", path)
        frame = pl.read_parquet(path, columns=list(columns) if columns else None)
    except (pl.exceptions.PolarsError, OSError) as e:
        raise DataError(f"cannot be read as Parquet: {str(e).splitlines()[0]}", path) from None
    if frame.is_empty():
        raise DataError("there are no rows", path)
    ids = [c.name for c in frame if c.name.endswith("_id") and c.dtype.is_integer()]
    return frame.with_columns(pl.col(ids).cast(pl.String))
