"""RecBole's atomic files (``.inter``, ``.item``, ``.user``) -> Dataset, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from tastemaker.artifacts import checked_name, write_atomic
from tastemaker.data.dataset import Dataset
from tastemaker.data.frames import nearest
from tastemaker.data.readers._cells import Cell, Decimal, Id, Seconds, Text
from tastemaker.data.readers._rows import lines, refuse, split_rows, typed, unique
from tastemaker.data.readers.base import Reader
from tastemaker.errors import DataError

TYPES = ("token", "token_seq", "float", "float_seq")
ALIASES = {
    "item_title": "title",
    "movie_title": "title",
    "name": "title",
    "item_name": "title",
    "release_year": "year",
    "genre": "genres",
    "class": "genres",
}
ANY = 1e15


class RecBole(Reader):
    """Tab-separated files with typed headers, as RecBole's own datasets come."""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """An ``.inter`` file, or a folder with just one."""
        return path.suffix == ".inter" or len(list(path.glob("*.inter"))) == 1

    def read(
        self,
        path: Path,
        *,
        user: str = "user_id",
        item: str = "item_id",
        rating: str = "rating",
        time: str = "timestamp",
        **options: Any,
    ) -> Dataset:
        """The dataset of an ``.inter`` file and what lies beside it; ``user``, ``item`` ... are names in its header."""
        file = _inter(path)
        header = _header(file)
        for wanted in (user, item):
            if wanted not in header:
                raise DataError(f"no column {wanted!r}; {nearest(wanted, header)}", file, 1)
        names = {user: "user_id", item: "item_id", rating: "rating", time: "time"}
        known = (
            Id("user_id"),
            Id("item_id"),
            Decimal("rating", -ANY, ANY, optional=True),
            Seconds("time", optional=True),
        )
        columns = [names.get(name, f"{name}:unused") for name in header]
        cells = [c for c in known if c.column in columns]
        rows = typed(file, split_rows(file, "\t", len(columns), skip=1), columns, cells, refuse)
        items = _entities(file.with_suffix(".item"), item, "item_id", ALIASES)
        users = _entities(file.with_suffix(".user"), user, "user_id", {})
        return Dataset.from_frames(rows, items, users, **{"name": file.stem.lower(), **options})


def export(dataset: Dataset, folder: Path) -> Path:
    """``folder/NAME`` with ``NAME.inter``, ``.item`` and ``.user`` as RecBole reads them; returns that folder.

    Reading them back gives the same interactions, ids and titles. Tabs and line breaks inside texts become spaces;
    a list of texts becomes a sequence of tokens, so a space inside one of them becomes ``_``. Other files of these
    names are never replaced. Raises `DataError`.
    """
    root = folder / checked_name(dataset.name)
    rows = dataset.interactions.select(
        dataset.users["user_id"].gather(dataset.interactions["user"]),
        dataset.items["item_id"].gather(dataset.interactions["item"]),
        "rating",
        pl.col("time").alias("timestamp"),
    )
    told = rows.select(c for c in rows if c.null_count() < rows.height)
    frames = (("inter", told), ("item", dataset.items), ("user", dataset.users))
    files = {root / f"{dataset.name}.{suffix}": _atomic_file(frame) for suffix, frame in frames}
    for path, data in files.items():
        if path.exists() and path.read_bytes() != data:
            raise DataError("is there already and differs; choose another folder to export to, or move it", path)
    for path, data in files.items():
        write_atomic(path, data)
    return root


def _inter(path: Path) -> Path:
    found = [path] if path.is_file() else sorted(path.glob("*.inter"))
    if len(found) != 1:
        raise DataError(f"expected one .inter file, found {len(found)}", path)
    return found[0]


def _header(file: Path) -> dict[str, str]:
    """Each column's name and type. Raises `DataError` unless every one is ``name:type``, once."""
    _, text, problem = next(lines(file), (1, "", "is empty"))
    fields = [field.partition(":") for field in text.rstrip("\r\n").split("\t")]
    header = {name: kind for name, _, kind in fields}
    if problem or len(header) < len(fields) or not all(header) or not set(header.values()) <= set(TYPES):
        raise DataError(problem or "expected columns named 'name:type', each once, the type token or float", file, 1)
    return header


def _entities(file: Path, key: str, own: str, aliases: Mapping[str, str]) -> pl.DataFrame | None:
    if not file.is_file():
        return None
    header = _header(file)
    if key not in header:
        raise DataError(f"no column {key!r}; {nearest(key, header)}", file, 1)
    columns: list[str] = []
    for name in header:
        alias = own if name == key else aliases.get(name, name)
        columns.append(name if alias in columns or (alias != name and alias in header) else alias)
    kinds = dict(zip(columns, header.values(), strict=True))
    cells: list[Cell] = [Id(own)]
    cells += [Decimal(c, -ANY, ANY, optional=True) if k == "float" else Text(c) for c, k in kinds.items() if c != own]
    table = typed(file, split_rows(file, "\t", len(columns), skip=1), columns, cells, refuse)
    table = unique(table, own, file, refuse)
    texts = [c for c in columns if c not in (own, "title") and table.schema[c] == pl.String]
    table = table.with_columns(pl.col(c).replace("", None) for c in texts)
    if aliases and kinds.get("genres") == "token_seq":
        table = table.with_columns(pl.col("genres").str.split(" "))
    return table


def _atomic_file(frame: pl.DataFrame) -> bytes:
    header, columns = [], []
    for column in frame:
        if column.dtype == pl.List(pl.String):
            kind, text = "token_seq", column.list.eval(pl.element().str.replace_all(r"\s", "_")).list.join(" ")
        elif column.dtype.is_numeric() and column.name not in ("year",):
            kind, text = "float", column.cast(pl.String)
        else:
            kind, text = "token_seq" if column.name == "title" else "token", column.cast(pl.String)
        header.append(f"{column.name}:{kind}")
        columns.append(text.fill_null("").str.replace_all(r"[\t\r\n\x00]", " "))
    lines = ["\t".join(header), *("\t".join(row) for row in pl.DataFrame(columns).iter_rows())]
    return ("\n".join(lines) + "\n").encode()
