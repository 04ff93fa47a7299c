"""The MovieLens-1M split CoLLM released -> PreferenceSplit, its histories told again from its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.preference import PreferenceSplit
from tastemaker.data.readers._movielens import year
from tastemaker.data.readers._parquet import read_parquet
from tastemaker.data.readers.base import SplitReader, find
from tastemaker.data.splits._judged import History, judged
from tastemaker.errors import DataError

PARTS = ("train", "valid", "test")


class CoLLMML1M(SplitReader):
    """33,891 / 10,401 / 7,331 yes/no questions of 838 users and 3,255 films, cut in time. For research; cite its paper.

    The released histories are what the users liked earlier in these rows; ``load_split("collm-ml-1m", history="all")``
    shows instead everything labelled strictly before. ``valid="small"`` takes the half on which CoLLM chooses models.
    """

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with the three parts and ``valid_small.parquet``."""
        return all((path / f"{part}.parquet").is_file() for part in (*PARTS, "valid_small"))

    def read_split(
        self, path: Path, *, history: History = "likes", valid: Literal["full", "small"] = "full", **options: Any
    ) -> PreferenceSplit:
        """The split in the folder ``path``; users and films are numbered as in the files, less one."""
        files = {part: find(path, f"{part}.parquet") for part in PARTS}
        rows = pl.concat(_rows(file).with_columns(part=pl.lit(at)) for at, file in enumerate(files.values()))
        rows = rows.sort("uid", "timestamp", maintain_order=True)
        twice = rows.filter(pl.struct("uid", "iid").is_duplicated())
        if not twice.is_empty():
            raise DataError(f"user {twice['uid'][0]} has two rows with film {twice['iid'][0]}", path)
        data = _dataset(rows, **options)
        liked, part = rows["label"].to_numpy() == 1, rows["part"].to_numpy().astype(np.int32)
        train, held_out, test = judged(data, liked, part, history)
        if valid == "small":
            chosen = set(_rows(find(path, "valid_small.parquet")).select("uid", "iid").iter_rows())
            users, items = data.users["user_id"].to_list(), data.items["item_id"].to_list()
            held_out = tuple(
                row for row in held_out if (int(users[row.query.user or 0]), int(items[row.item])) in chosen
            )
        settings = {"min_rating": 4, "history": history, "valid": valid}
        return PreferenceSplit(data, "collm-released", settings, train, held_out, test)


def _rows(file: Path) -> pl.DataFrame:
    frame = read_parquet(file, ("uid", "iid", "label", "timestamp", "title"))
    wrong = frame.filter(~pl.col("label").is_in([0, 1]).fill_null(value=False) | pl.col("title").is_null())
    if not wrong.is_empty():
        raise DataError("has rows whose label is not 0 or 1, or without a title", file)
    return frame


def _dataset(rows: pl.DataFrame, **options: Any) -> Dataset:
    columns = {"user_id": pl.col("uid").cast(pl.String), "item_id": pl.col("iid").cast(pl.String)}
    items = (
        rows.unique("iid", keep="first", maintain_order=True)
        .sort("iid")
        .select(columns["item_id"].alias("item_id"), "title")
    )
    users = rows.select("uid").unique().sort("uid").select(columns["user_id"].alias("user_id"))
    frame = rows.select(
        columns["user_id"].alias("user_id"),
        columns["item_id"].alias("item_id"),
        pl.col("label").alias("rating"),
        pl.col("timestamp").alias("time"),
    )
    note = "Ratings are 1 for films rated 4 or 5 and 0 for the others, as released."
    items = items.with_columns(year())
    return Dataset.from_frames(frame, items, users, name="collm-ml-1m", notes=[note], **options)
