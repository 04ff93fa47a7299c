"""Items -> a table on disk that is searched by meaning, by words and under constraints; new items are in at once."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tastemaker.artifacts import write_atomic
from tastemaker.errors import UsageError, suggest
from tastemaker.llm.sentences import SentenceEncoder
from tastemaker.prompts.clean import clean, plain_title
from tastemaker.serve.chat import filters as constraints
from tastemaker.serve.chat.dialogue import Filter
from tastemaker.serve.chat.schema import NAME, OWN, Schema
from tastemaker.types import FloatArray, Progress, quiet

LOG = logging.getLogger("tastemaker.serve")
Found = list[tuple[str, float]]
"""Ids with what speaks for them, best first."""
_RANKS = 60  # by how much the first places of two rankings stand out when the two are joined
_TEXT = 2_000  # characters of an item that are searched
_PIECES = 32  # of a table; each addition makes one


class Catalogue:
    """The items of one catalogue, searchable: ``Catalogue.open(folder, data.items, SentenceEncoder.load())``."""

    items: pl.DataFrame
    """``item_id``, ``title`` and the attributes: first the catalogue's own rows in their order, then those added."""
    schema: Schema

    def __init__(self, table: Any, items: pl.DataFrame, encoder: SentenceEncoder) -> None:
        self._table, self.encoder, self._lock = table, encoder, threading.Lock()
        self.items, self.schema = items, Schema.of(items)
        self._ids = {item_id: row for row, item_id in enumerate(items["item_id"])}

    @classmethod
    def open(
        cls, folder: Path, items: pl.DataFrame, encoder: SentenceEncoder, *, progress: Progress = quiet
    ) -> Catalogue:
        """The table in ``folder``, made anew if it is of other items or another encoder; added items stay in it."""
        database = _connected(folder)
        own = _plain(items)
        about = {"encoder": encoder.fingerprint, "items": _hash(own)}
        try:
            same = json.loads((folder / "about.json").read_text(encoding="utf-8")) == about
        except (OSError, ValueError):
            same = False
        try:
            table = database.open_table("items")
            added = _read(table, own)
        except Exception:  # no table, or one that another version wrote
            table, added, same = None, own.clear(), False
        if not same:
            added = added.filter(~pl.col("item_id").is_in(own["item_id"].to_list()))
            rows = pl.concat([_rows(own, encoder, progress, added=False), _rows(added, encoder, progress, added=True)])
            database.drop_table("items", ignore_missing=True)
            table = database.create_table("items", rows.to_arrow())
            _index(table)
            write_atomic(folder / "about.json", json.dumps(about).encode())
        return cls(table, pl.concat([own, added]), encoder)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._ids

    def row(self, item_id: str) -> int:
        """Where in ``items`` it is. Raises `UsageError`."""
        try:
            return self._ids[item_id]
        except KeyError:
            raise UsageError(f"the catalogue has no item with id {item_id!r}; it has {self.items.height:,}") from None

    def add(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """The ids of the new items, which can be found and recommended from now on; all of them or, on error, none."""
        with self._lock:
            checked = [self._checked(row) for row in rows]
            ids = [row["item_id"] for row in checked]
            known = [i for i in ids if i in self._ids] or [i for i in ids if ids.count(i) > 1]
            if known:
                raise UsageError(f"item {known[0]!r} is in the catalogue already; give new items ids of their own")
            if not checked:
                return []
            fresh = pl.DataFrame(checked, schema=self.items.schema)
            self._table.add(_rows(fresh, self.encoder, quiet, added=True).to_arrow())
            items = pl.concat([self.items, fresh])
            self._ids = {**self._ids, **{item_id: row for row, item_id in enumerate(ids, start=self.items.height)}}
            self.items, self.schema = items, Schema.of(items)
            self._join()
        return ids

    def search(self, text: str, n: int, filters: Sequence[Filter] = ()) -> Found:
        """Items by what the words mean and by the words themselves, the two rankings joined."""
        words = clean(text, _TEXT)
        if not words:
            return []
        (vector,) = self.encoder.encode([words])
        by_meaning = [item_id for item_id, _ in self.nearest(vector, n, filters)]
        by_words = self._matching(words, n, filters)
        scores: dict[str, float] = {}
        for ranked in (by_meaning, by_words):
            for place, item_id in enumerate(ranked):
                scores[item_id] = scores.get(item_id, 0.0) + 1 / (_RANKS + place)
        return sorted(scores.items(), key=lambda one: -one[1])[:n]

    def nearest(self, vector: FloatArray, n: int, filters: Sequence[Filter] = (), *, own: bool = False) -> Found:
        """Items, or only the catalogue's ``own``, by the cosine of their vectors with this one."""
        query = self._table.search(vector.astype(np.float32), query_type="vector", vector_column_name="vector")
        query = query.where("NOT added") if own else query
        rows = self._some(query.distance_type("cosine"), n, filters, ["item_id", "_distance"])
        return [(row["item_id"], 1.0 - row["_distance"]) for row in rows if row["item_id"] in self._ids]

    def vectors(self, ids: Sequence[str]) -> FloatArray:
        """``[id, size]`` of these items, in their order. Raises `UsageError`."""
        wanted = [self.row(item_id) for item_id in ids]
        if not wanted:
            return np.zeros((0, self.encoder.size), dtype=np.float32)
        one = Filter(field="item_id", op="is", value=list(dict.fromkeys(ids)))
        where = constraints.expression([one], Schema({"item_id": "one"}, {}))
        rows = self._table.search().where(where).select(["item_id", "vector"]).limit(len(wanted)).to_list()
        found = {row["item_id"]: row["vector"] for row in rows}
        return np.array([found[item_id] for item_id in ids], dtype=np.float32)

    def text(self, item_id: str) -> str:
        """What is searched of an item."""
        return _text(self.items.row(self.row(item_id), named=True))

    def _join(self) -> None:
        """One piece of table in place of many, as every search looks at each; whoever reads is not held up."""
        try:
            if self._table.stats()["fragment_stats"]["num_fragments"] > _PIECES:
                self._table.optimize()
        except Exception:  # the items are in, whatever becomes of the pieces
            LOG.warning("the pieces of the catalogue's table could not be joined", exc_info=True)

    def _matching(self, words: str, n: int, filters: Sequence[Filter]) -> list[str]:
        from lancedb.query import MatchQuery  # a query object: nothing in the words is an operator

        rows = self._some(self._table.search(MatchQuery(words, "text")), n, filters, ["item_id", "_score"])
        return [row["item_id"] for row in rows if row["item_id"] in self._ids]

    def _some(self, query: Any, n: int, filters: Sequence[Filter], columns: list[str]) -> list[dict[str, Any]]:
        if filters:
            query = query.where(constraints.expression(filters, self.schema))
        found: list[dict[str, Any]] = query.select(columns).limit(n).to_list()
        return found

    def _checked(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row with every column of the catalogue. Raises `UsageError`."""
        for name in row:
            if name not in self.items.columns:
                raise UsageError(f"the catalogue has no column {name!r}; {suggest(str(name), self.items.columns)}")
        found = {name: _value(name, row.get(name), dtype) for name, dtype in self.items.schema.items()}
        if not found["item_id"] or not found["title"]:
            raise UsageError("a new item needs an item_id and a title that are not blank")
        return found


def _connected(folder: Path) -> Any:
    try:
        import lancedb
    except ImportError:
        raise UsageError("catalogue search needs LanceDB; run pip install 'tastemaker[search]'") from None
    folder.mkdir(parents=True, exist_ok=True)
    return lancedb.connect(str(folder))


def _plain(items: pl.DataFrame) -> pl.DataFrame:
    """Id, title and the columns that can be kept, in the few types there are."""
    kept = {}
    for name, dtype in items.schema.items():
        if name in ("item_id", "title") or (name not in OWN and NAME.fullmatch(name)):
            if dtype.is_numeric():
                kept[name] = pl.col(name).cast(pl.Float64).fill_nan(None)
            elif dtype in (pl.String, pl.List(pl.String)):
                kept[name] = pl.col(name)
    return items.select(**kept)


def _rows(items: pl.DataFrame, encoder: SentenceEncoder, progress: Progress, *, added: bool) -> pl.DataFrame:
    texts = [_text(row) for row in items.iter_rows(named=True)]
    vectors = encoder.encode(texts, progress=progress)
    return items.with_columns(
        pl.Series("text", texts, dtype=pl.String),
        pl.lit(added).alias("added"),
        pl.Series("vector", vectors, dtype=pl.Array(pl.Float32, encoder.size)),
    )


def _read(table: Any, like: pl.DataFrame) -> pl.DataFrame:
    """The added items of a table, in the columns of ``like``."""
    whole = pl.DataFrame(pl.from_arrow(table.to_arrow().drop_columns(["vector"]))).filter("added")
    for name, dtype in like.schema.items():
        if name not in whole.columns:
            whole = whole.with_columns(pl.lit(None, dtype).alias(name))
    return whole.select(pl.col(name).cast(dtype) for name, dtype in like.schema.items())


def _index(table: Any) -> None:
    from lancedb.index import FTS

    table.create_index("text", config=FTS(), replace=True)


def _text(row: Mapping[str, Any]) -> str:
    """An item in words: its title as people say it, then each attribute by name."""
    told = [plain_title(clean(row["title"] or row["item_id"]))]
    for name, value in row.items():
        if name in OWN or value is None or value == []:
            continue
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        told.append(f"{name}: {shown:g}" if isinstance(shown, float) else f"{name}: {shown}")
    return clean(". ".join(told), _TEXT)


def _value(name: str, value: Any, dtype: pl.DataType) -> Any:
    """The value in the column's type. Raises `UsageError`."""
    if value is None:
        return [] if dtype == pl.List(pl.String) else None
    if dtype == pl.String and isinstance(value, str):
        return clean(value, 10 * _TEXT)
    if dtype == pl.List(pl.String):
        several = value.split("|") if isinstance(value, str) else value
        if isinstance(several, list) and all(isinstance(one, str) for one in several):
            return [found for one in several if (found := clean(one))]
    if dtype == pl.Float64 and not isinstance(value, bool):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise UsageError(f"{name} of a new item is {str(value)[:40]!r}, which is not what the column holds")


def _hash(items: pl.DataFrame) -> str:
    digest = hashlib.sha256(json.dumps([*items.schema]).encode())
    for row in items.iter_rows():
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()
