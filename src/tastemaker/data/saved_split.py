"""A Split or a PreferenceSplit -> tables of outside ids beside its dataset, and back to an equal one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tastemaker import artifacts, atomic
from tastemaker.data.dataset import Dataset
from tastemaker.data.preference import AnySplit, Judgement, PreferenceSplit
from tastemaker.data.split import Case, Split
from tastemaker.errors import ArtifactError, UsageError
from tastemaker.types import Item, Query, User

KIND = "split"
DATASET = "dataset"
"""The folder inside that holds the whole dataset, titles and all."""
ASKED: dict[str, Any] = {"user_id": pl.String, "history": pl.List(pl.String), "item_id": pl.String, "time": pl.Float64}
JUDGED: dict[str, Any] = {
    "user_id": pl.String, "history": pl.List(pl.String), "likes": pl.List(pl.Boolean), "item_id": pl.String,
    "time": pl.Float64, "liked": pl.Boolean,
}  # fmt: skip


def save_split(split: AnySplit, path: str | os.PathLike[str]) -> None:
    """``train``, ``valid`` and ``test`` as parquet, what they are as JSON, and the dataset. Raises `ArtifactError`."""
    about = {
        "dataset": split.dataset.name,
        "split": split.name,
        "settings": dict(split.settings),
        "counts": split.counts(),
        "hash": split.hash,
    }
    tables = _judged_tables(split) if isinstance(split, PreferenceSplit) else _asked_tables(split)
    with tempfile.TemporaryDirectory(prefix="tastemaker-") as folder:
        dataset = Path(folder) / DATASET
        split.dataset.save(dataset)
        artifacts.save(path, kind=KIND, json={"split": about}, frames=tables, parts={DATASET: dataset})


def read_split(path: str | os.PathLike[str]) -> AnySplit:
    """The split that `save_split` wrote, to the last case. Raises `ArtifactError`."""
    found = artifacts.load(path, KIND)
    data = Dataset.load(atomic.find_directory(path) / DATASET)
    about = found.json("split")
    tables = [found.frame(part) for part in ("train", "valid", "test")]
    try:
        made = _judged if "liked" in tables[0].columns else _asked
        split = made(data, str(about["split"]), dict(about["settings"]), tables)
        intact = split.hash == about["hash"]
    except (KeyError, TypeError, ValueError, AttributeError, UsageError, pl.exceptions.PolarsError) as e:
        reason = str(e).partition("\n")[0]
        raise ArtifactError(f"{found.path}: not a split that this version reads ({reason})") from None
    if not intact:
        raise ArtifactError(f"{path}: its tables are not those of the split it names; save it again")
    return split


def _asked_tables(split: Split) -> dict[str, pl.DataFrame]:
    data, rows = split.dataset, split.train
    train = rows.select(
        data.users["user_id"].gather(rows["user"]), data.items["item_id"].gather(rows["item"]), "rating", "time"
    )
    users, items = data.users["user_id"].to_list(), data.items["item_id"].to_list()

    def row(one: Case) -> tuple[Any, ...]:
        query = one.query
        user_id = None if query.user is None else users[query.user]
        return user_id, [items[item] for item in query.history], items[one.positive], query.time

    parts = {"valid": split.valid, "test": split.test}
    cases = {part: pl.DataFrame(map(row, cases), schema=ASKED, orient="row") for part, cases in parts.items()}
    return {"train": train, **cases}


def _judged_tables(split: PreferenceSplit) -> dict[str, pl.DataFrame]:
    users, items = split.dataset.users["user_id"].to_list(), split.dataset.items["item_id"].to_list()

    def row(one: Judgement) -> tuple[Any, ...]:
        query = one.query
        user_id = None if query.user is None else users[query.user]
        history = [items[item] for item in query.history]
        return user_id, history, list(query.likes), items[one.item], query.time, one.liked

    parts = {"train": split.train, "valid": split.valid, "test": split.test}
    return {part: pl.DataFrame(map(row, rows), schema=JUDGED, orient="row") for part, rows in parts.items()}


def _asked(data: Dataset, name: str, settings: dict[str, Any], tables: Sequence[pl.DataFrame]) -> Split:
    rows = tables[0]
    train = pl.DataFrame(
        {
            "user": data.user_numbers(rows["user_id"].to_list()),
            "item": data.item_numbers(rows["item_id"].to_list()),
            "rating": rows["rating"],
            "time": rows["time"],
        }
    )
    valid, test = (tuple(_cases(data, table)) for table in tables[1:])
    return Split(data, name, settings, train, valid, test)


def _judged(data: Dataset, name: str, settings: dict[str, Any], tables: Sequence[pl.DataFrame]) -> PreferenceSplit:
    train, valid, test = (tuple(_judgements(data, table)) for table in tables)
    return PreferenceSplit(data, name, settings, train, valid, test)


def _cases(data: Dataset, table: pl.DataFrame) -> Iterator[Case]:
    users, items = _numbers(data)
    asked: tuple[Any, ...] = ()
    query = Query(())
    for *said, item_id in table.select("user_id", "history", "time", "item_id").iter_rows():
        if asked != (asked := tuple(said)):  # right answers to one question share it
            user_id, history, time = asked
            query = Query(tuple(items[shown] for shown in history), user=users[user_id], time=time)
        yield Case(query, items[item_id])


def _judgements(data: Dataset, table: pl.DataFrame) -> Iterator[Judgement]:
    users, items = _numbers(data)
    for user_id, history, likes, item_id, time, liked in table.select(*JUDGED).iter_rows():
        shown = tuple(items[one] for one in history)
        yield Judgement(Query(shown, (items[item_id],), users[user_id], time, likes=tuple(likes)), liked)


def _numbers(data: Dataset) -> tuple[dict[str | None, User | None], dict[str, Item]]:
    """The number of each outside id; nobody's is None."""
    users: dict[str | None, User | None] = {user_id: User(n) for n, user_id in enumerate(data.users["user_id"])}
    return {None: None, **users}, {item_id: Item(n) for n, item_id in enumerate(data.items["item_id"])}
