"""The MovieLens split LLaRA released -> Split: windows become sequences again, its test cases stay as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.readers._movielens import year
from tastemaker.data.readers._parquet import read_parquet
from tastemaker.data.readers.base import SplitReader, find
from tastemaker.data.readers.ml_100k import official_items
from tastemaker.data.split import Case, Split
from tastemaker.errors import DataError
from tastemaker.types import Item, Query, User

WINDOW, MIN_HISTORY, PADDING = 10, 3, 1682
TIES = "Ties in time are ordered as the released files order them; the times themselves are not released."
Rated = tuple[int, float]


class LLaRAMovieLens(SplitReader):
    """754 / 94 / 95 users of MovieLens-100K with ratings of at least 3, split by first interaction.

    A training user's sequence is whole. Of a valid or test user only the released window and its answer are known.
    The release has no times, and its training files order what happened at once by film number, which a model would
    learn. ``load_split("llara-movielens", times=load_dataset("ml-100k"))`` takes both from MovieLens-100K itself.
    """

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with ``train_rebuilt.parquet``, ``val.parquet`` and ``u.item``."""
        return all((path / name).is_file() for name in ("train_rebuilt.parquet", "val.parquet", "u.item"))

    def read_split(self, path: Path, *, times: Dataset | None = None, **options: Any) -> Split:
        """The split in the folder ``path``; its dataset numbers films as the files do, by ``u.item`` id less one.

        ``times``: where the same users rated the same films at a known time. Training users' films then follow its
        order; what valid and test users are shown stays as released.
        """
        items = official_items(find(path, "u.item")).with_columns(year())
        files = {part: find(path, f"{part}.parquet") for part in ("train_rebuilt", "val", "test")}
        known: dict[str, list[Rated]] = {}
        users: dict[str, list[str]] = {}
        for part, file in files.items():
            windows = _rows(file)
            if twice := known.keys() & windows.keys():
                raise DataError(f"user {min(twice)} is in two parts of the split", file)
            join = _sequence if part == "train_rebuilt" else _shown
            known |= {user: join(seen, user, file) for user, seen in windows.items()}
            users[part] = list(windows)
        rows = _frame(known, items)
        if times is not None:
            rows = _timed(rows, times, users["train_rebuilt"], path)
        notes = [TIES if times is None else f"Times, and the order of training users' ties, are those of {times.name}."]
        data = Dataset.from_frames(rows, items, name="llara-movielens", notes=notes, **options)
        training = pl.Series(data.user_numbers(users["train_rebuilt"]))
        learned = data.interactions.filter(pl.col("user").is_in(training.implode()))
        valid, test = (_cases(data, users[part]) for part in ("val", "test"))
        settings = {"window": WINDOW, "min_history": MIN_HISTORY}
        return Split(data, "llara-released", settings, learned, valid, test)


def _frame(known: dict[str, list[Rated]], items: pl.DataFrame) -> pl.DataFrame:
    rows = [(user, item, rating) for user, pairs in known.items() for item, rating in pairs]
    frame = pl.DataFrame(rows, schema=["user_id", "item", "rating"], orient="row")
    return frame.select("user_id", items["item_id"].gather(frame["item"]).alias("item_id"), "rating")


def _timed(rows: pl.DataFrame, times: Dataset, training: list[str], path: Path) -> pl.DataFrame:
    """The rows with their times, those of training users in the order of ``times``, the others in their own."""
    seen = times.interactions.select(
        times.users["user_id"].gather(times.interactions["user"]).alias("user_id"),
        times.items["item_id"].gather(times.interactions["item"]).alias("item_id"),
        pl.col("rating").cast(pl.Float64),
        "time",
    )
    seen = seen.with_row_index("place").unique(["user_id", "item_id"], keep="first", maintain_order=True)
    timed = rows.join(seen, on=["user_id", "item_id", "rating"], how="left", maintain_order="left")
    if timed["time"].null_count():
        user, item = timed.row(timed["time"].is_null().arg_max() or 0)[:2]
        message = f"user {user} rated film {item} at a time {times.name} does not know; are they the same users?"
        raise DataError(message, path)
    free = pl.col("user_id").is_in(training)
    shown = timed.filter(~free)
    if (shown.select(pl.col("time").diff().over("user_id")).to_series() < 0).any():
        raise DataError(f"windows shown are not in the order of time that {times.name} has", path)
    return pl.concat([timed.filter(free).sort("place"), shown]).drop("place")


def _rows(path: Path) -> dict[str, list[tuple[list[Rated], Rated]]]:
    """Each user's rows in file order, without padding: the window and what came next."""
    frame = read_parquet(path, ("user_id", "seq", "next"))
    users: dict[str, list[tuple[list[Rated], Rated]]] = {}
    for number, (user, window, following) in enumerate(frame.iter_rows(), start=1):
        pairs = [p for p in _pairs(window, path, number) if p[0] != PADDING]
        users.setdefault(user, []).append((pairs, _pairs(f"[{following}]", path, number)[0]))
    return users


def _pairs(text: str, path: Path, row: int) -> list[Rated]:
    try:
        return [(_item(item), float(rating)) for item, rating in json.loads(text)]
    except (TypeError, ValueError, RecursionError):
        raise DataError(f"{str(text)[:40]!r} is not a list of [item, rating] pairs", path, row) from None


def _item(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= PADDING:
        raise ValueError("not an item number")
    return value


def _sequence(rows: list[tuple[list[Rated], Rated]], user: str, path: Path) -> list[Rated]:
    """What the answers of a user's sliding windows add up to; each window must show the answers before it."""
    items = [following for _, following in rows]
    for at, (window, _) in enumerate(rows):
        if window != items[max(0, at - WINDOW) : at]:
            raise DataError(f"window {at + 1} of user {user} does not show the answers before it", path)
    return items


def _shown(rows: list[tuple[list[Rated], Rated]], user: str, path: Path) -> list[Rated]:
    if len(rows) != 1:
        raise DataError(f"user {user} has {len(rows)} rows where one is expected", path)
    window, following = rows[0]
    return [*window, following]


def _cases(data: Dataset, users: list[str]) -> tuple[Case, ...]:
    cases = []
    for user in data.user_numbers(users).tolist():
        *history, positive = (Item(i) for i in data.history(user).tolist())
        if len(history) >= MIN_HISTORY:
            cases.append(Case(Query(tuple(history), user=User(user)), positive))
    return tuple(cases)
