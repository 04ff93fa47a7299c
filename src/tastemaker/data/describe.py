"""A Dataset or a Split -> the numbers one should know before believing any result on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.leakage import leaks
from tastemaker.data.preference import AnySplit, PreferenceSplit
from tastemaker.data.split import Split

LEVELS = (0, 5, 25, 50, 75, 95, 100)
MOST_RATINGS = 20
"""With more different ratings than this, none is counted."""
PAIR = {"user": pl.Int64, "item": pl.Int64}
MOMENT = {"user": pl.Int64, "time": pl.Float64}
"""What cases are looked up by, a million rows at once: a set of tuples would take as long as judging them."""


@dataclass(frozen=True, slots=True)
class Description:
    """What is in a dataset, and what is odd about it."""

    name: str
    hash: str
    users: int
    items: int
    interactions: int
    density: float
    """Share of all user-item pairs that occur."""
    idle_users: int
    """Users without an interaction."""
    idle_items: int
    """Items without an interaction."""
    history_length: dict[str, int]
    """Interactions of a user who has any, by percentile."""
    item_count: dict[str, int]
    """Interactions of an item that has any, by percentile."""
    ratings: dict[str, int]
    """How often each rating occurs; empty without ratings or with more than twenty different ones."""
    first: str | None
    last: str | None
    """The earliest and latest time, in UTC."""
    timed_share: float
    """Share of interactions with a known time."""
    tied_share: float
    """Share of timed interactions at the same second as another of the same user: their order is the file's."""
    repeats: int
    """Interactions with an item the user has had before."""
    blank_titles: int
    duplicate_titles: int
    """Items whose title another item has too: a list of titles cannot tell them apart."""
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self) | {"notes": list(self.notes)}


@dataclass(frozen=True, slots=True)
class SplitDescription:
    """What is in a split, and what might flatter a model on it."""

    name: str
    hash: str
    settings: dict[str, int | float | str]
    counts: dict[str, int]
    history_length: dict[str, int]
    """Of the test cases, by percentile."""
    warnings: tuple[str, ...]
    """One sentence for each way in which the answers might leak or be unanswerable."""

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self) | {"warnings": list(self.warnings)}


def describe(dataset: Dataset) -> Description:
    """Counts, density, quantiles, ratings, ties, repeats and titles of a dataset."""
    rows = dataset.interactions
    lengths, counts = rows["user"].value_counts()["count"], rows["item"].value_counts()["count"]
    pairs = rows.select("user", "item").n_unique()
    timed = rows.filter(pl.col("time").is_not_null())
    titles = dataset.items["title"].str.strip_chars()
    return Description(
        name=dataset.name,
        hash=dataset.hash,
        users=dataset.n_users,
        items=dataset.n_items,
        interactions=rows.height,
        density=pairs / (dataset.n_users * dataset.n_items),
        idle_users=dataset.n_users - len(lengths),
        idle_items=dataset.n_items - len(counts),
        history_length=_percentiles(lengths.to_list()),
        item_count=_percentiles(counts.to_list()),
        ratings=_histogram(rows["rating"]),
        first=_moment(timed["time"].min()),
        last=_moment(timed["time"].max()),
        timed_share=timed.height / rows.height,
        tied_share=_tied(timed) / max(1, timed.height),
        repeats=rows.height - pairs,
        blank_titles=int((titles == "").sum()),
        duplicate_titles=int((titles.is_duplicated() & (titles != "")).sum()),
        notes=dataset.notes,
    )


def describe_split(split: AnySplit) -> SplitDescription:
    """Counts of a split and a warning for each leak or oddity found."""
    return SplitDescription(
        name=split.name,
        hash=split.hash,
        settings=dict(split.settings),
        counts=split.counts(),
        history_length=_percentiles([len(one.query.history) for one in split.test]),
        warnings=warnings_of(split),
    )


def warnings_of(split: AnySplit) -> tuple[str, ...]:
    """One sentence for each way in which the split's answers might leak or be unanswerable."""
    if isinstance(split, PreferenceSplit):
        return (*map(str, leaks(split)), *_unseen(split))
    return (*_leaks(split), *_time_leaks(split), *_unlearnable(split), *_ambiguous(split))


def _leaks(split: Split) -> list[str]:
    found, learned = [], split.train.select(pl.col(list(PAIR)).cast(pl.Int64))
    for name, cases in (("valid", split.valid), ("test", split.test)):
        asked = pl.DataFrame({"user": [c.query.user for c in cases], "item": [c.positive for c in cases]}, PAIR)
        if known := len(_found(asked, learned)):
            found.append(
                f"The answers of {known:,} of {len(cases):,} {name} cases are in the train rows of their user."
            )
        if seen := sum(c.positive in c.query.history for c in cases):
            found.append(f"The answers of {seen:,} of {len(cases):,} {name} cases are in the history shown.")
        if short := sum(not c.query.history for c in cases):
            found.append(f"{short:,} of {len(cases):,} {name} cases show no history.")
    return found


def _time_leaks(split: Split) -> list[str]:
    found = []
    asked = [c.query.time for c in split.test if c.query.time is not None]
    times = split.train["time"].drop_nulls()
    if asked and len(times) and (later := int((times > float(np.median(asked))).sum())):
        share = later / len(times)
        found.append(f"{share:.0%} of the train rows are later than half of the test answers: no global order in time.")
    moments = pl.DataFrame([(c.query.user, c.query.time) for c in split.test], MOMENT, orient="row")
    rows = split.dataset.interactions.select(pl.col("user").cast(pl.Int64), pl.col("time").cast(pl.Float64))
    then = _found(rows, moments)
    if tied := len(_found(moments, then.filter(then.is_duplicated()))):
        rests = "which of them is asked for rests on the order of the file."
        found.append(
            f"{tied:,} of {len(split.test):,} test answers share their second with another of the user: {rests}"
        )
    return found


def _found(rows: pl.DataFrame, among: pl.DataFrame) -> pl.DataFrame:
    """The rows that are there, by all columns; one with a null is nowhere."""
    if among.height > rows.height:  # the larger table is not worth an index
        among = among.join(rows, on=rows.columns, how="semi")
    return rows.join(among, on=rows.columns, how="semi")


def _unlearnable(split: Split) -> list[str]:
    learned = set(split.train["item"].unique())
    cold = sum(c.positive not in learned for c in split.test)
    if not cold:
        return []
    return [f"The answers of {cold:,} of {len(split.test):,} test cases never occur in train: no model can learn them."]


def _unseen(split: PreferenceSplit) -> list[str]:
    cold = sum(split.item_counts[row.item] == 0 for row in split.test)
    strangers = sum(row.query.user is None or split.user_counts[row.query.user] == 0 for row in split.test)
    found = [("item", cold), ("user", strangers)]
    return [f"{n:,} of {len(split.test):,} test rows are of {what}s that train never shows." for what, n in found if n]


def _ambiguous(split: Split) -> list[str]:
    items = split.dataset.items["title"].str.strip_chars()
    shared = items.is_duplicated() | (items == "")
    unclear = sum(bool(shared[c.positive]) for c in split.test)
    if not unclear:
        return []
    return [
        f"The answers of {unclear:,} of {len(split.test):,} test cases have no title, or one that another item has."
    ]


def _percentiles(values: Sequence[int]) -> dict[str, int]:
    if not values:
        return {}
    found = np.percentile(np.asarray(values), LEVELS, method="lower")
    return {f"p{level}": int(value) for level, value in zip(LEVELS, found, strict=True)}


def _histogram(ratings: pl.Series) -> dict[str, int]:
    known = ratings.drop_nulls()
    if known.n_unique() > MOST_RATINGS:
        return {}
    counts = known.value_counts().sort(known.name)
    return {f"{rating:g}": count for rating, count in counts.iter_rows()}


def _tied(timed: pl.DataFrame) -> int:
    return int(timed.select("user", "time").is_duplicated().sum())


def _moment(seconds: Any) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
