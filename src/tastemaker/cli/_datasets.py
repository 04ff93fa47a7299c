"""Which datasets there are and which are here; a Split -> tables of outside ids."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tastemaker import artifacts
from tastemaker.data import readers
from tastemaker.data.preference import AnySplit, Judgement, PreferenceSplit
from tastemaker.data.readers.base import Reader
from tastemaker.data.sources import cache_dir
from tastemaker.data.split import Case, Split


def known() -> list[dict[str, Any]]:
    """Every reader: its name, what it reads, whether its files are here, and whether they can be fetched."""
    return [
        {
            "name": name,
            "what": _sentence(readers.get(name)),
            "here": _is_here(name),
            "fetchable": bool(readers.get(name).sources),
        }
        for name in readers.names()
    ]


def save_split(split: AnySplit, path: str | os.PathLike[str]) -> None:
    """``train``, ``valid`` and ``test`` as parquet and what they are as JSON. Raises `ArtifactError`."""
    about = {
        "dataset": split.dataset.name,
        "split": split.name,
        "settings": dict(split.settings),
        "counts": split.counts(),
        "hash": split.hash,
    }
    frames = _judged(split) if isinstance(split, PreferenceSplit) else _asked(split)
    artifacts.save(path, kind="split", json={"split": about}, frames=frames)


def _asked(split: Split) -> dict[str, pl.DataFrame]:
    data = split.dataset
    train = split.train.select(
        data.users["user_id"].gather(split.train["user"]),
        data.items["item_id"].gather(split.train["item"]),
        "rating",
        "time",
    )
    return {"train": train, "valid": _cases(split, split.valid), "test": _cases(split, split.test)}


def _judged(split: PreferenceSplit) -> dict[str, pl.DataFrame]:
    users, items = split.dataset.users["user_id"].to_list(), split.dataset.items["item_id"].to_list()
    schema: dict[str, Any] = {
        "user_id": pl.String,
        "history": pl.List(pl.String),
        "likes": pl.List(pl.Boolean),
        "item_id": pl.String,
        "time": pl.Float64,
        "liked": pl.Boolean,
    }

    def row(one: Judgement) -> tuple[Any, ...]:
        query = one.query
        user_id = None if query.user is None else users[query.user]
        history = [items[item] for item in query.history]
        return user_id, history, list(query.likes), items[one.item], query.time, one.liked

    parts = {"train": split.train, "valid": split.valid, "test": split.test}
    return {part: pl.DataFrame(map(row, rows), schema=schema, orient="row") for part, rows in parts.items()}


def _cases(split: Split, cases: Sequence[Case]) -> pl.DataFrame:
    users, items = split.dataset.users["user_id"].to_list(), split.dataset.items["item_id"].to_list()
    rows = [
        (
            None if case.query.user is None else users[case.query.user],
            [items[i] for i in case.query.history],
            items[case.positive],
            case.query.time,
        )
        for case in cases
    ]
    schema: dict[str, Any] = {
        "user_id": pl.String,
        "history": pl.List(pl.String),
        "item_id": pl.String,
        "time": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _is_here(name: str) -> bool:
    root = os.environ.get("TASTEMAKER_DATA")
    if root and (Path(root) / name).is_dir():
        return True
    return any(cache_dir().glob(f"{name}-????????"))


def _sentence(reader: type[Reader]) -> str:
    return (reader.__doc__ or "").strip().partition("\n")[0]
