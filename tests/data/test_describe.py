"""A description counts what a hand counts, and a split that leaks is told so."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl

from tastemaker.data import Case, Dataset, Split, describe, describe_split
from tastemaker.types import Item, Query, User

ROWS = pl.DataFrame(
    [
        ("u", "a", 5.0, 0),
        ("u", "b", 4.0, 60),
        ("u", "c", 4.0, 60),
        ("u", "a", 2.5, 90),
        ("v", "a", None, None),
        ("w", "b", 5.0, 86_400),
    ],
    schema=["user_id", "item_id", "rating", "time"],
    orient="row",
)
ITEMS = pl.DataFrame({"item_id": ["a", "b", "c", "d"], "title": ["Solaris (1972)", "Solaris (1972)", " ", None]})
USERS = pl.DataFrame({"user_id": ["u", "v", "w", "x"]})


def small() -> Dataset:
    return Dataset.from_frames(ROWS, ITEMS, USERS, name="small", notes=["One thing."])


def test_a_dataset_is_counted() -> None:
    told = describe(small())
    assert (told.users, told.items, told.interactions) == (4, 4, 6)
    assert told.density == 5 / 16
    assert (told.idle_users, told.idle_items) == (1, 1)
    assert told.history_length == {"p0": 1, "p5": 1, "p25": 1, "p50": 1, "p75": 1, "p95": 1, "p100": 4}
    assert told.item_count["p50"] == 2
    assert told.ratings == {"2.5": 1, "4": 2, "5": 2}
    assert (told.first, told.last) == ("1970-01-01 00:00:00", "1970-01-02 00:00:00")
    assert told.timed_share == 5 / 6
    assert told.tied_share == 2 / 5
    assert told.repeats == 1
    assert (told.blank_titles, told.duplicate_titles) == (2, 2)
    assert json.loads(json.dumps(told.as_dict()))["notes"] == ["One thing."]


def test_a_dataset_without_ratings_and_times_is_described() -> None:
    told = describe(Dataset.from_frames(ROWS.drop("rating", "time"), name="bare"))
    assert (told.ratings, told.first, told.timed_share, told.tied_share) == ({}, None, 0, 0)
    many = pl.DataFrame(
        {"user_id": ["u"] * 21, "item_id": [f"{i}" for i in range(21)], "rating": [i / 7 for i in range(21)]}
    )
    assert describe(Dataset.from_frames(many, name="fine")).ratings == {}


def clean() -> Split:
    rows = [(u, f"{u}{t}" if t > 2 else f"i{t}", t + 10 * n) for n, u in enumerate("abcde") for t in range(4)]
    rows += [("z", f"{u}3", 1) for u in "abcde"] + [("z", f"y{n}", 2 + n) for n in range(2)]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row")
    items = pl.DataFrame({"item_id": (ids := sorted({r[1] for r in rows})), "title": [f"Title {i}" for i in ids]})
    data = Dataset.from_frames(frame, items, name="clean")
    train = data.interactions.filter(pl.col("user") == 5)
    test = tuple(
        Case(
            Query(tuple(Item(i) for i in data.history(u)[:3].tolist()), user=User(u), time=float(u * 10 + 3)),
            Item(int(data.history(u)[3])),
        )
        for u in range(2, 5)
    )
    return Split(data, "hand-made", {}, train, (), test)


def test_a_clean_split_has_no_warnings() -> None:
    told = describe_split(clean())
    assert told.warnings == ()
    assert told.counts["test_cases"] == 3
    assert told.history_length["p50"] == 3
    assert json.loads(json.dumps(told.as_dict()))["name"] == "hand-made"


def test_each_leak_is_told() -> None:
    split = clean()
    case = split.test[0]
    user, answer = case.query.user, case.positive

    def warned(**changes: object) -> str:
        (warning,) = describe_split(replace(split, **changes)).warnings  # type: ignore[arg-type]
        return warning

    own = split.dataset.interactions.filter((pl.col("user") == user) & (pl.col("item") == answer)).with_columns(time=1)
    assert "answers of 1 of 3 test cases are in the train rows" in warned(
        train=pl.concat([split.train, own.cast({"time": pl.Int64})])
    )
    seen = replace(case, query=replace(case.query, history=(answer,)))
    assert "answers of 1 of 3 test cases are in the history shown" in warned(test=(seen, *split.test[1:]))
    blank = replace(case, query=replace(case.query, history=()))
    assert "1 of 1 valid cases show no history" in warned(valid=(blank,))
    assert "answers of 1 of 3 test cases never occur in train" in warned(
        train=split.train.filter(pl.col("item") != answer)
    )
    late = split.train.with_columns(time=pl.when(pl.col("time") == 3).then(99).otherwise("time"))
    assert "14% of the train rows are later than half of the test answers" in warned(train=late)
    twin = pl.when(pl.col("item_id").is_in(["a3", "c3"])).then(pl.lit("Twin")).otherwise("title").alias("title")
    assert "answers of 1 of 3 test cases have no title, or one that another" in warned(
        dataset=replace(split.dataset, items=split.dataset.items.with_columns(twin))
    )
    tied = split.dataset.interactions.with_columns(time=pl.when(pl.col("time") == 22).then(23).otherwise("time"))
    assert "1 of 3 test answers share their second" in warned(dataset=replace(split.dataset, interactions=tied))
