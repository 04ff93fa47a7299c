"""Yes/no splits show only what came before, cut where their protocol says, and the linter sees what leaks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opinions import JANUARY, MONTH, opinions, opinions_split

from tastemaker.data import Dataset, Judgement, PreferenceSplit, describe_split, load_split
from tastemaker.data.instructions import read_instructions
from tastemaker.data.leakage import leaks
from tastemaker.data.preference import labels
from tastemaker.errors import DataError, UsageError


def made(rows: list[tuple[object, ...]]) -> Dataset:
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "time"], orient="row")
    return Dataset.from_frames(frame, name="made")


def split_of(data: Dataset, name: str, **settings: object) -> PreferenceSplit:
    split = data.split(name, **settings)
    assert isinstance(split, PreferenceSplit)
    return split


def told(split: PreferenceSplit, row: Judgement) -> tuple[str, list[str], list[bool], str, bool]:
    items, users = split.dataset.items["item_id"], split.dataset.users["user_id"]
    history = [items[item] for item in row.query.history]
    return users[row.query.user or 0], history, list(row.query.likes), items[row.item], row.liked


def test_time_cuts_by_month_and_histories_grow_across_the_parts() -> None:
    split = opinions_split()
    counts = split.counts()
    assert [counts[f"{part}_rows"] for part in ("train", "valid", "test")] == [24, 8, 16]
    last = [row for row in split.test if row.query.user == 1][-1]
    assert told(split, last) == ("u1", ["f1", "f3"], [True, True], "f5", True)
    last = [row for row in opinions_split(history="all").test if row.query.user == 1][-1]
    assert told(split, last)[1:3] == (["f0", "f1", "f2", "f3", "f4"], [False, True, False, True, False])
    assert [int(n) for n in split.item_counts] == [8, 8, 8, 0, 0, 0]
    assert [int(n) for n in split.user_counts] == [3] * 8


def test_all_labels_are_those_strictly_before_and_likes_those_earlier_in_the_order() -> None:
    rows = [("u", item, 4, JANUARY + (0 if item in "ab" else MONTH)) for item in "abcd"]
    settings = {"train_months": 1, "valid_months": 0, "test_months": 1, "skip_last": 0}
    by_order = split_of(made(rows), "time", **settings)
    strictly = split_of(made(rows), "time", history="all", **settings)
    assert [told(by_order, row)[1] for row in by_order.test] == [["a", "b", "c"]]
    assert [told(strictly, row)[1] for row in strictly.test] == [["a", "b"]]
    assert [len(row.query.history) for row in strictly.train] == [0, 0]


def test_without_valid_months_the_last_month_is_halved_by_count_in_time() -> None:
    rows = [(f"u{n}", "a", 4 + n % 2, JANUARY + 31 * 86_400 + 100 - n) for n in range(5)]
    rows += [(f"u{n}", "b", 5, JANUARY) for n in range(5)]
    split = split_of(
        made(rows), "time", train_months=None, valid_months=0, test_months=1, skip_last=0, min_rating=5, year=2020
    )
    assert [told(split, row)[0] for row in split.valid] == ["u3", "u4"]  # the earliest two of five
    assert [told(split, row)[0] for row in split.test] == ["u0", "u1", "u2"]
    assert labels(split.test).tolist() == [False, True, False]


def test_rare_users_and_items_are_dropped_once_and_jointly() -> None:
    rows = [
        ("u", "a", 5, JANUARY),
        ("u", "b", 5, JANUARY + MONTH),
        ("v", "a", 1, JANUARY + MONTH),
        ("w", "c", 5, JANUARY),
    ]
    settings = {"train_months": 1, "valid_months": 0, "test_months": 1, "skip_last": 0, "min_count": 2}
    with pytest.raises(DataError, match=r"has 1 months, none of them before the last 1 that are held out"):
        split_of(made(rows), "time", **settings)  # only u's a is left
    rows += [("v", "b", 1, JANUARY + MONTH)]
    assert split_of(made(rows), "time", **settings).dataset.n_interactions == 4


def test_time_needs_ratings_and_times() -> None:
    frame = pl.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "time": [JANUARY, JANUARY + MONTH]})
    unrated = Dataset.from_frames(frame, name="made")
    with pytest.raises(UsageError, match="without a rating"):
        unrated.split("time", train_months=None, valid_months=0, skip_last=0, test_months=1)
    with pytest.raises(DataError, match=r"no interactions are left in made: .* with columns\.time"):
        Dataset.from_frames(frame.drop("time").with_columns(rating=1), name="made").split("time")


def test_last_windows_follow_the_file_and_show_ten_and_one() -> None:
    rows = [(user, f"i{n}", 4 + n % 2 - (user == "z"), n) for user in ("z", "a", "m") for n in range(13)]
    split = split_of(made(rows), "last-windows", train=5, valid=1, test=2)
    users = [told(split, row)[0] for row in (*split.train, *split.valid, *split.test)]
    assert users == ["z", "z", "a", "a", "a", "m", "m", "m"]  # z is first in the file; its first window is cut off
    first = told(split, split.train[0])
    assert first == ("z", [f"i{n}" for n in range(1, 11)], [n % 2 == 1 for n in range(1, 11)], "i11", True)
    assert split.test[-1].query.time == 12
    with pytest.raises(DataError, match="has 9 windows"):
        split_of(made(rows), "last-windows")


@pytest.mark.parametrize("name", ["last-windows", "per-user-random"])
def test_what_is_asked_about_is_not_shown_where_things_were_rated_twice(name: str) -> None:
    once = [(f"u{u}", f"i{n}", 1 + n % 5, n) for u in range(12) for n in range(12)]
    again = [(f"u{u}", f"i{n}", 1 + n % 5, 20 + n) for u in range(12) for n in range(6, 12)]
    settings = {"train": 8, "valid": 2, "test": 2} if name == "last-windows" else {}
    split = split_of(made([*once, *again]), name, min_rating=3, **settings)
    for row in (*split.train, *split.valid, *split.test):
        assert row.item not in row.query.history
    assert split.hash == split_of(made(once), name, min_rating=3, **settings).hash


def test_per_user_random_asks_each_user_once() -> None:
    rows = [(f"u{u}", f"i{n}", n, 0) for u in range(40) for n in range(3 + u % 12)]
    data = Dataset.from_frames(
        pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "time"], orient="row").drop("time"), name="made"
    )
    split = split_of(data, "per-user-random")
    rows_of = (*split.train, *split.valid, *split.test)
    assert len({row.query.user for row in rows_of}) == len(rows_of) == sum(3 + u % 12 > 3 for u in range(40))
    for row in rows_of:
        assert 3 <= len(row.query.history) <= 10
        assert row.item not in row.query.history
        rating = int(split.dataset.items["item_id"][row.item][1:])
        assert row.liked == (rating >= 6)
    assert split.hash == split_of(data, "per-user-random").hash != split_of(data, "per-user-random", seed=1).hash


@settings(max_examples=60)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(1, 5), st.integers(0, 40)), min_size=6, max_size=60
    ),
    history=st.sampled_from(["likes", "all"]),
)
def test_no_split_in_time_ever_shows_the_future(rows: list[tuple[int, ...]], history: str) -> None:
    data = made([(u, i, r, JANUARY + t * 5 * 86_400) for u, i, r, t in rows])
    try:
        split = split_of(data, "time", train_months=None, valid_months=1, test_months=1, skip_last=0, history=history)
    except DataError:
        return
    found = {leak.kind for leak in leaks(split)}
    assert found <= ({"same-time"} if history == "likes" else set())
    assert sum(split.counts()[f"{part}_rows"] for part in ("train", "valid", "test")) == split.dataset.n_interactions
    for row in (*split.train, *split.valid, *split.test):
        assert len(row.query.likes) == len(row.query.history)


def test_the_linter_names_every_leak() -> None:
    split = opinions_split()
    assert leaks(split) == ()
    row = split.test[0]

    def shown(*history: int) -> Judgement:
        return replace(row, query=replace(row.query, history=history, likes=(True,) * len(history)))

    def kinds(**parts: tuple[Judgement, ...]) -> list[str]:
        return [f"{leak.part} {leak.kind} {leak.rows}" for leak in leaks(replace(split, **parts))]

    assert kinds(test=(shown(0, row.item),)) == ["test own-history 1", "test same-time 1"]
    assert kinds(test=(shown(5),)) == ["test later-history 1"]
    assert kinds(test=(row, row)) == ["test repeated 1"]
    assert kinds(test=(split.train[0],))[0] == "test trained-on 1"
    assert "train trains-later 1" in kinds(train=(*split.train, split.test[-1]))
    told = describe_split(replace(split, test=(shown(5), row)))
    assert "1 of 2 test rows show items in the history that were rated later." in told.warnings


def test_a_dataset_keeps_the_order_in_which_users_came(tmp_path: Path) -> None:
    data = made([("b", "x", 1, 5), ("a", "x", 1, 4), ("b", "y", 1, 3)])
    people = pl.DataFrame({"user_id": ["a", "idle", "b"]})
    listed = Dataset.from_frames(
        pl.DataFrame({"user_id": ["b", "a"], "item_id": ["x", "x"]}), users=people, name="listed"
    )
    assert listed.arrivals == (2, 0)
    assert listed.compact().arrivals == (1, 0)
    assert data.arrivals == (0, 1)
    listed.save(tmp_path / "kept")
    assert Dataset.load(tmp_path / "kept").arrivals == (2, 0)


def tallrec(folder: Path, kind: str = "movie") -> Path:
    folder.mkdir()
    questions = [
        (['"A (1990)"', '"B, The (1991)"'], ['"No "Quotes" Here (1992)"'], '"D (1993)"', "Yes."),
        ([], ['"A (1990)"', '"B, The (1991)"', '"D (1993)"'], '"No "Quotes" Here (1992)"', "No."),
    ]
    prompts = [
        {
            "instruction": "Will they?",
            "input": f"User Preference: {', '.join(liked)}\nUser Unpreference: {', '.join(disliked)}\n"
            f"Whether the user will like the target {kind} {target}?",
            "output": answer,
        }
        for liked, disliked, target, answer in questions
    ]
    for part in ("train", "valid", "test"):
        (folder / f"{part}.json").write_text(json.dumps(prompts))
        (folder / f"baseline_{part}.csv").write_text(
            "user_id,history_movie_id,history_rating,movie_id,rating,timestamp\n"
            "7,\"['1', '3', '2']\",\"[1, 0, 1]\",4,1,100\n"
            "8,\"['1', '2', '4']\",\"[0, 0, 0]\",3,0,101\n"
        )
    return folder


def test_tallrecs_prompts_and_id_files_make_one_split(tmp_path: Path) -> None:
    split = load_split("tallrec-movie", tallrec(tmp_path / "released"))
    assert isinstance(split, PreferenceSplit)
    assert split.dataset.titles == ["A (1990)", "B, The (1991)", 'No "Quotes" Here (1992)', "D (1993)"]
    assert told(split, split.test[0]) == ("7", ["1", "3", "2"], [True, False, True], "4", True)
    assert told(split, split.test[1]) == ("8", ["1", "2", "4"], [False] * 3, "3", False)
    assert split.test[1].query.time == 101


def test_tallrecs_files_that_disagree_are_refused(tmp_path: Path) -> None:
    folder = tallrec(tmp_path / "released")
    file = folder / "baseline_test.csv"
    file.write_text(file.read_text().replace("4,1,100", "4,0,100"))
    with pytest.raises(DataError, match=r"baseline_test.csv:2: does not say what row 1 of test.json says"):
        load_split("tallrec-movie", folder)


def test_tallrecs_books_go_by_title_and_author(tmp_path: Path) -> None:
    folder = tallrec(tmp_path / "tallrec-book", "book")
    prompt = {
        "instruction": "Will they?",
        "input": 'User Preference: "One"written by Ann, "Two" written by Bob, Jr.\nUser Unpreference: \n'
        'Whether the user will like the target book ""Three" written by Cyd"?',
        "output": "No.",
    }
    (folder / "test.json").write_text(json.dumps([prompt]))
    split = load_split("tallrec-book", folder)
    assert isinstance(split, PreferenceSplit)
    row = split.test[0]
    assert [split.dataset.titles[item] for item in row.query.history] == ["One by Ann", "Two by Bob, Jr."]
    assert split.dataset.titles[row.item] == "Three by Cyd"
    assert (row.liked, row.query.likes) == (False, (True, True))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[", "is not JSON"),
        ("{}", "is not a list"),
        ("[]", "is not a list"),
        ('[{"instruction": "a", "output": 3}]', ":1: is not an object"),
        ('[{"instruction": "a", "output": "b"}, {"instruction": "", "output": "b"}]', ":2: is not an object"),
        ('[{"instruction": "a", "output": "\\ud800"}]', "half a character"),
    ],
)
def test_instructions_that_are_none_are_refused(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "alpaca.json").write_text(text)
    with pytest.raises(DataError, match=told):
        read_instructions(tmp_path / "alpaca.json")


def test_instructions_may_lack_an_input(tmp_path: Path) -> None:
    (tmp_path / "alpaca.json").write_text('[{"instruction": "Say yes.", "output": "Yes.", "more": 1}]')
    assert read_instructions(tmp_path / "alpaca.json")[0].input == ""


def test_collms_files_make_the_same_histories_as_they_say(tmp_path: Path) -> None:
    rows = [(1, 1, 1, 10), (1, 2, 0, 10), (2, 1, 1, 12), (1, 3, 1, 20), (2, 3, 0, 21), (1, 4, 0, 30), (2, 4, 1, 31)]
    frame = pl.DataFrame(rows, schema=["uid", "iid", "label", "timestamp"], orient="row").with_columns(
        title=pl.format("Film {} (1990)", "iid")
    )
    for part, (start, stop) in {"train": (0, 3), "valid": (3, 5), "test": (5, 7)}.items():
        frame[start:stop].write_parquet(tmp_path / f"{part}.parquet")
    frame[4:5].write_parquet(tmp_path / "valid_small.parquet")
    split = load_split("collm-ml-1m", tmp_path)
    assert isinstance(split, PreferenceSplit)
    assert [told(split, row)[1:] for row in split.test] == [
        (["1", "3"], [True] * 2, "4", False),
        (["1"], [True], "4", True),
    ]
    assert len(load_split("collm-ml-1m", tmp_path, valid="small").valid) == 1
    full = load_split("collm-ml-1m", tmp_path, history="all")
    assert isinstance(full, PreferenceSplit)
    assert told(full, full.test[0])[1:3] == (["1", "2", "3"], [True, False, True])
    frame[:1].vstack(frame[:1]).write_parquet(tmp_path / "train.parquet")
    with pytest.raises(DataError, match="user 1 has two rows with film 1"):
        load_split("collm-ml-1m", tmp_path)


def test_opinions_are_as_even_as_they_look() -> None:
    assert labels(opinions_split().test).mean() == 0.5
    assert opinions().n_interactions == 48
