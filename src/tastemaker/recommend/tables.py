"""Rows that need not fit into memory -> one Parquet, CSV or JSON Lines file, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from tastemaker.artifacts import replacing
from tastemaker.errors import ArtifactError, UsageError

FORMULA = r"^[=+\-@\t\r\n\x00\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
"""How text begins that a spreadsheet may run, by OWASP's list; the last four are the wide forms of the first four."""
_ROWS = 2**17  # in a row group: a fixed number, so that the same rows give the same bytes

Sink = Callable[[pl.LazyFrame, Path], object]
SINKS: dict[str, Sink] = {
    ".parquet": partial(pl.LazyFrame.sink_parquet, row_group_size=_ROWS),
    # Text in quotes: a spreadsheet that separates cells at other marks finds none to begin a formula behind.
    ".csv": partial(pl.LazyFrame.sink_csv, quote_style="non_numeric"),
    ".jsonl": pl.LazyFrame.sink_ndjson,
}


def require_free(path: Path, *, overwrite: bool, suffixes: Sequence[str] = tuple(SINKS)) -> None:
    """Raise `UsageError` unless a table may be written to ``path``: of a known format, and over nothing unasked."""
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"{path}: a table of this kind ends in {' or '.join(suffixes)}")
    if path.is_dir():
        raise UsageError(f"{path} is a directory; choose another --out")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} is there already; choose another --out, or add --overwrite")


def write_table(rows: pl.LazyFrame, path: Path) -> int:
    """How many cells were escaped; the rows are in ``path``, in their order. Raises `ArtifactError`.

    Text that a spreadsheet would take for a formula gets a ``'`` before it, in CSV alone: nothing else is opened there.
    """
    suffix, escaped = path.suffix.lower(), 0
    try:
        if suffix == ".csv":
            rows, escaped = _escaped(rows)
        with replacing(path) as temporary:
            SINKS[suffix](rows, temporary)
    except pl.exceptions.PolarsError as error:  # a full disk among others, where Parquet is written
        raise ArtifactError(f"{path}: not written ({str(error).splitlines()[0]}); what was there is kept") from error
    return escaped


def _escaped(rows: pl.LazyFrame) -> tuple[pl.LazyFrame, int]:
    """The same with every formula escaped, and how many there are."""
    text = [name for name, kind in rows.collect_schema().items() if kind == pl.String]
    found = rows.select(pl.sum_horizontal(pl.col(name).str.contains(FORMULA).sum() for name in text))
    return rows.with_columns(map(_harmless, text)), int(found.collect(engine="streaming").item())


def _harmless(name: str) -> pl.Expr:
    text = pl.col(name)
    return pl.when(text.str.contains(FORMULA)).then(pl.lit("'") + text).otherwise(text).alias(name)
