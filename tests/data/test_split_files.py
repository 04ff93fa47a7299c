"""Train, valid and test that somebody brings: each held-out row asks, showing what came before it in earlier parts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from films import films
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.data import Dataset, PreferenceSplit, Split, comes_split, describe_split, load_dataset, load_split
from tastemaker.errors import ConfigError, DataError, UsageError

PARTS = ("train", "valid", "test")
Rows = list[tuple[Any, ...]]
TIMED = ["user_id", "item_id", "time"]


def written(folder: Path, parts: dict[str, Rows], columns: list[str], suffix: str = "csv") -> Path:
    folder.mkdir(exist_ok=True)
    for part, rows in parts.items():
        frame = pl.DataFrame(rows, schema=columns, orient="row")
        if suffix == "csv":
            frame.write_csv(folder / f"{part}.csv")
        elif suffix == "jsonl":
            frame.write_ndjson(folder / f"{part}.jsonl")
        else:
            frame.write_parquet(folder / f"{part}.parquet")
    return folder


def asked(split: Split, part: str) -> list[tuple[str, str, str]]:
    """User, what is shown and the answer of each case, as ids."""
    users, items = split.dataset.users["user_id"].to_list(), split.dataset.items["item_id"].to_list()
    return [
        (users[one.query.user or 0], " ".join(items[shown] for shown in one.query.history), items[one.positive])
        for one in getattr(split, part)
    ]


def loaded(path: Path, **options: Any) -> Split:
    split = load_split(path, **options)
    assert isinstance(split, Split)
    return split


SMALL: dict[str, Rows] = {
    "train": [("u", "a", 1), ("v", "a", 1), ("u", "b", 2), ("u", "f", 9)],
    "valid": [("u", "c", 3), ("v", "b", 2)],
    "test": [("u", "d", 4), ("v", "c", 3), ("u", "e", 5)],
}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_each_held_out_row_is_a_case(tmp_path: Path, suffix: str) -> None:
    folder = written(tmp_path / "Mine", SMALL, TIMED, suffix)
    assert comes_split(folder)
    split = loaded(folder)
    assert (split.name, split.dataset.name, split.settings) == ("given", "mine", {})
    assert split.train.height == 4
    assert asked(split, "valid") == [("u", "a b", "c"), ("v", "a", "b")]
    assert asked(split, "test") == [("u", "a b c", "d"), ("u", "a b c", "e"), ("v", "a b", "c")]
    assert split.test[0].query is split.test[1].query  # right answers to one question
    assert [case.query.time for case in split.test] == [4, 4, 3]
    assert load_dataset(folder).hash == split.dataset.hash == loaded(tmp_path / "Mine", name="x").dataset.hash


def test_without_times_all_of_train_comes_before(tmp_path: Path) -> None:
    parts = {part: [row[:2] for row in rows] for part, rows in SMALL.items()}
    split = loaded(written(tmp_path / "a", parts, ["user_id", "item_id"]))
    assert asked(split, "test") == [("u", "a b f c", "d"), ("u", "a b f c", "e"), ("v", "a b", "c")]
    steps = loaded(written(tmp_path / "b", SMALL, ["user_id", "item_id", "order"]))
    assert asked(steps, "test") == [("u", "a b c", "d"), ("u", "a b c", "e"), ("v", "a b", "c")]


def test_in_one_second_train_comes_before_valid_and_valid_before_test(tmp_path: Path) -> None:
    parts = {"test": [("u", "c", 7)], "valid": [("u", "b", 7)], "train": [("u", "a", 7)]}
    split = loaded(written(tmp_path / "a", parts, TIMED))
    assert (asked(split, "valid"), asked(split, "test")) == ([("u", "a", "b")], [("u", "a b", "c")])


ROW = st.tuples(st.sampled_from("uvw"), st.sampled_from("abcdef"), st.integers(0, 4))


@given(parts=st.fixed_dictionaries({part: st.lists(ROW, min_size=1, max_size=6) for part in PARTS}))
def test_histories_are_what_a_hand_would_pick(tmp_path: Path, parts: dict[str, Rows]) -> None:
    split = loaded(written(Path(tempfile.mkdtemp(dir=tmp_path)), parts, TIMED))
    whole = [(*row, at) for at, part in enumerate(PARTS) for row in parts[part]]
    whole.sort(key=lambda row: row[2])  # stable: in one second, the earlier part first
    for number, part in enumerate(PARTS[1:], start=1):
        wanted = []
        for place, (user, item, _, of) in enumerate(whole):
            before = [row for row in whole[:place] if row[0] == user and row[3] < number]
            wanted += [(user, " ".join(row[1] for row in before), item)] if of == number else []
        assert sorted(asked(split, part)) == sorted(wanted)
    users, items = split.dataset.users["user_id"], split.dataset.items["item_id"]
    learned = [(users[u], items[i], t) for u, i, t in split.train.select("user", "item", "time").iter_rows()]
    assert sorted(learned) == sorted(parts["train"])


def test_leave_one_out_made_elsewhere_is_leave_one_out(tmp_path: Path) -> None:
    made: Any = films().split("leave-one-out", k_core=0)
    users, items = made.dataset.users["user_id"], made.dataset.items["item_id"]
    train = [(users[u], items[i], t) for u, i, t in made.train.select("user", "item", "time").iter_rows()]
    held_out = {
        part: [(users[one.query.user], items[one.positive], int(one.query.time)) for one in getattr(made, part)]
        for part in ("valid", "test")
    }
    folder = written(tmp_path / "films", {"train": train, **held_out}, TIMED)
    made.dataset.items.write_parquet(folder / "items.parquet")
    back = loaded(folder)
    assert (back.valid, back.test) == (made.valid, made.test)
    assert back.train.equals(made.train)
    assert back.dataset.titles == made.dataset.titles


LIKES: dict[str, Rows] = {
    "train": [("u", "a", 5, 1), ("u", "b", 1, 2), ("u", "f", 5, 9)],
    "valid": [("u", "c", 4, 3), ("u", "d", 2, 4)],
    "test": [("u", "e", 4, 5), ("u", "g", 3, 6)],
}


def test_with_a_rating_that_counts_as_liked_it_asks_what_is_liked(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", LIKES, ["user_id", "item_id", "rating", "time"])
    split = load_split(folder, min_rating=4)
    assert isinstance(split, PreferenceSplit)
    items = split.dataset.items["item_id"].to_list()
    told = {
        part: [(" ".join(items[i] for i in one.query.history), items[one.item], one.liked) for one in rows]
        for part, rows in zip(PARTS, (split.train, split.valid, split.test), strict=True)
    }
    assert told == {
        "train": [("", "a", True), ("a", "b", False), ("a", "f", True)],  # not c: it is of a later part
        "valid": [("a", "c", True), ("a", "d", False)],
        "test": [("a c", "e", True), ("a c", "g", False)],
    }
    assert all(one.query.likes == (True,) * len(one.query.history) for one in split.test)
    few = load_split(folder, min_rating=4, max_history=1)
    assert [len(one.query.history) for one in few.test] == [1, 1]
    with pytest.raises(ConfigError, match="max_history is of splits that ask what is liked; set min_rating too"):
        load_split(folder, max_history=1)
    bare = written(tmp_path / "b", SMALL, TIMED)
    with pytest.raises(UsageError, match="without a rating"):
        load_split(bare, min_rating=4)


def test_names_columns_and_descriptions_are_those_of_tables(tmp_path: Path) -> None:
    parts = {"val" if part == "valid" else part: rows for part, rows in SMALL.items()}
    folder = written(tmp_path / "mine", parts, ["userId", "sku", "when"])
    (folder / "items.csv").write_text("sku,name\na,Alien\nz,Zulu\n")
    split = loaded(folder, columns={"time": "when"}, name="shop")
    assert split.dataset.name == "shop"
    assert split.dataset.titles == ["Alien", "Zulu", "b", "f", "c", "d", "e"]
    assert split.dataset.notes[0] == "Read userId as user_id, sku as item_id, name as title."
    assert load_split("split-files", folder, columns={"time": "when"}).hash == split.hash


def test_what_train_never_saw_is_kept_and_told(tmp_path: Path) -> None:
    parts = {**SMALL, "test": [*SMALL["test"], ("new", "a", 1), ("u", "a", 1)]}
    split = loaded(written(tmp_path / "mine", parts, TIMED))
    assert ("new", "", "a") in asked(split, "test")
    told = describe_split(split).warnings
    assert "1 of 5 test cases show no history." in told
    assert "The answers of 3 of 5 test cases never occur in train: no model can learn them." in told
    assert "The answers of 1 of 5 test cases are in the train rows of their user." in told


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": None}, r"mine: holds no test \(.csv, .tsv, .parquet, .jsonl\); put one there$"),
        ({"valid": None}, r"mine: holds no valid \(.*\); put one there, such as of the latest rows of train"),
        ({"train": None}, r"mine: holds no train"),
        ({"valid": "user_id,item_id,time\n"}, r"valid\.csv: there are no usable rows"),
        ({"test": ""}, r"test\.csv:1: is empty"),
        ({"test": "user_id,item_id\nu,a\n"}, r"test\.csv:1: no column for time, which train\.csv has; give it to all"),
        ({"valid": "user_id,item_id,time,rating\nu,a,1,5\n"}, r"train\.csv:1: no column for rating, which valid\.csv"),
        ({"validation": "user_id,item_id,time\nu,a,1\n"}, r"mine: holds both valid\.csv and validation\.csv; keep one"),
        ({"test": "user_id,film,time\nu,a,1\n"}, r"test\.csv:1: no column for item_id"),
        ({"test": "user_id,item_id,time\nu,a,soon\n"}, r"test\.csv:2: time 'soon'"),
        ({"items": "item_id,title\na,x\na,y\n"}, r"items\.csv:3: item_id 'a' has been described"),
    ],
)
def test_bad_parts_are_one_line(tmp_path: Path, changes: dict[str, str | None], message: str) -> None:
    folder = written(tmp_path / "mine", SMALL, TIMED)
    for part, text in changes.items():
        if text is None:
            (folder / f"{part}.csv").unlink()
        else:
            (folder / f"{part}.csv").write_text(text)
    assert comes_split(folder)
    with pytest.raises(DataError, match=message) as raised:
        load_split(folder)
    assert "\n" not in str(raised.value)


def test_what_is_no_split_is_not_taken_for_one(tmp_path: Path) -> None:
    table = written(tmp_path / "a", {"interactions": SMALL["train"], "test": SMALL["test"]}, TIMED)
    assert not comes_split(table)
    assert load_dataset(table).n_interactions == 4
    with pytest.raises(
        UsageError, match=r"is not split already; bring a folder with train, valid and test; ready-made"
    ):
        load_split(table)
    saved = tmp_path / "saved"
    load_dataset(table).save(saved)
    for path in (saved, tmp_path, tmp_path / "none", tmp_path / "none.csv", "ml-100k", "no-such-name"):
        assert not comes_split(path)
    assert Dataset.load(saved).hash == load_dataset(saved).hash
    assert comes_split("CoLLM_ml_1m")
    with pytest.raises(DataError, match=r"train\.csv: is no folder"):
        load_split("split-files", written(tmp_path / "b", SMALL, TIMED) / "train.csv")
    with pytest.raises(ConfigError, match="no option 'min_ratings'; did you mean 'min_rating'"):
        load_split(tmp_path / "b", min_ratings=4)


def test_released_splits_are_known_by_their_files(tmp_path: Path) -> None:
    for part in (*PARTS, "valid_small"):
        pl.DataFrame({"uid": [1], "iid": [1], "label": [1], "timestamp": [1], "title": ["x"]}).write_parquet(
            tmp_path / f"{part}.parquet"
        )
    with pytest.raises(DataError, match="user 1 has two rows with film 1"):  # read as CoLLM's
        load_split(tmp_path)
