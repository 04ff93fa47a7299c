"""Frames of any kind become one frozen, numbered, hashed Dataset, or an error that says which row is wrong."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker import artifacts
from tastemaker.data import Dataset
from tastemaker.errors import ArtifactError, DataError, UsageError

ROWS = {
    "user_id": ["u2", "u1", "u2", "u1", "u2"],
    "item_id": ["b", "a", "a", "c", "c"],
    "rating": [3.0, 5.0, 1.0, 4.0, 4.0],
    "time": [20, 7, 20, 5, 10],
}
ITEMS = {"item_id": ["a", "b", "c", "d"], "title": ["Alien", None, "Casino", "Diva"], "year": [1979, None, 1995, 1981]}


def small() -> Dataset:
    return Dataset.from_frames(pl.DataFrame(ROWS), pl.DataFrame(ITEMS), name="small")


def test_items_follow_their_table_and_users_their_first_row() -> None:
    data = small()
    assert data.items["item_id"].to_list() == ["a", "b", "c", "d"]
    assert data.users["user_id"].to_list() == ["u2", "u1"]
    assert (data.n_users, data.n_items, data.n_interactions) == (2, 4, 5)


def test_history_is_by_time_and_ties_keep_the_order_of_the_file() -> None:
    data = small()
    assert data.history(0).tolist() == [2, 1, 0]  # c at 10, then b before a, both at 20
    assert data.history(1).tolist() == [2, 0]
    assert data.interactions.schema == {"user": pl.Int32, "item": pl.Int32, "rating": pl.Float32, "time": pl.Int64}


def test_long_ties_keep_the_order_of_the_file() -> None:
    ids = [f"i{n * 7919 % 5000}" for n in range(5000)]
    frame = pl.DataFrame({"user_id": ["u", "v"] * 2500, "item_id": ids, "time": [n // 1000 % 2 for n in range(5000)]})
    data = Dataset.from_frames(frame, name="ties")
    expected = [i for second in (0, 1) for i, s, u in zip(*frame.select("item_id", "time", "user_id"), strict=True)
                if s == second and u == "v"]  # fmt: skip
    assert [data.items["item_id"][i] for i in data.history(1).tolist()] == expected


def test_without_times_the_history_is_the_order_of_the_file() -> None:
    data = Dataset.from_frames(pl.DataFrame(ROWS).drop("time", "rating"), name="bare")
    assert [data.items["item_id"][int(i)] for i in data.history(0)] == ["b", "a", "c"]
    assert data.interactions["rating"].null_count() == 5


def test_an_item_without_title_goes_by_its_id() -> None:
    assert small().titles == ["Alien", "b", "Casino", "Diva"]


def test_items_that_only_interact_follow_the_table_and_are_noted() -> None:
    data = Dataset.from_frames(pl.DataFrame(ROWS), pl.DataFrame({"item_id": ["c"], "title": ["Casino"]}), name="some")
    assert data.items["item_id"].to_list() == ["c", "b", "a"]
    assert data.notes == ("2 items have interactions but no row of their own, so nothing else is known of them.",)


def test_arrow_tables_and_lazy_frames_give_the_same_dataset() -> None:
    lazy = Dataset.from_frames(pl.LazyFrame(ROWS), pl.LazyFrame(ITEMS), name="lazy")
    arrow = Dataset.from_frames(pa.table(ROWS), pa.table(ITEMS), name="arrow")
    assert small().hash == lazy.hash == arrow.hash


def test_whole_number_ids_and_datetimes_are_taken() -> None:
    frame = pl.DataFrame({"user_id": [7], "item_id": [9], "time": [datetime(2020, 1, 1)]})
    data = Dataset.from_frames(frame, name="numbers")
    assert data.users["user_id"].to_list() == ["7"]
    assert data.interactions["time"].to_list() == [1_577_836_800]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("user_id", ["u", None, "v"], "user_id None in row 2 is not an id"),
        ("item_id", ["a", "b", ""], "item_id '' in row 3 is not an id"),
        ("item_id", ["a", " b", "c"], "item_id ' b' in row 2"),
        ("item_id", ["a\tb", "b", "c"], "in row 1"),
        ("item_id", ["a" * 300, "b", "c"], "in row 1"),
        ("item_id", [1.0, 2.0, 3.0], "holds Float64, not text or whole numbers"),
        ("rating", [1.0, float("nan"), 2.0], "rating nan in row 2 is not a finite number"),
        ("rating", ["5", "4", "3"], "holds String, not numbers"),
        ("time", [1, 2, 978_300_760_000], "in row 3 is not in seconds between 1970 and 2100 .milliseconds"),
        ("time", [-1, 2, 3], "in row 1"),
        ("time", ["2020", "2021", "2022"], "not seconds or dates"),
    ],
)
def test_a_bad_value_is_named_with_its_row(column: str, values: list[object], message: str) -> None:
    frame = pl.DataFrame({"user_id": ["u", "u", "v"], "item_id": ["a", "b", "c"]} | {column: values}, strict=False)
    with pytest.raises(DataError, match=message):
        Dataset.from_frames(frame, name="bad")


def test_a_missing_column_is_named_with_the_nearest() -> None:
    with pytest.raises(DataError, match="no column 'user_id'; did you mean 'userid'"):
        Dataset.from_frames(pl.DataFrame({"userid": ["u"], "item_id": ["a"]}), name="bad")


def test_what_is_no_frame_or_empty_or_describes_an_item_twice_is_refused() -> None:
    with pytest.raises(DataError, match="expected a data frame"):
        Dataset.from_frames("ratings.csv", name="bad")
    with pytest.raises(DataError, match="there are no rows"):
        Dataset.from_frames(pl.DataFrame({"user_id": [], "item_id": []}), name="bad")
    with pytest.raises(DataError, match="'a' is described twice"):
        Dataset.from_frames(pl.DataFrame(ROWS), pl.DataFrame({"item_id": ["a", "a"], "title": ["x", "y"]}), name="bad")


def test_numbers_and_ids_translate_and_a_stranger_is_named() -> None:
    assert small().item_numbers(["d", "a"]).tolist() == [3, 0]
    assert small().user_numbers(["u1"]).tolist() == [1]
    with pytest.raises(UsageError, match="small has no user with id 'u9'; it has 2 users"):
        small().user_numbers(["u9"])


def test_filter_keeps_numbers_and_says_what_it_dropped() -> None:
    kept = small().filter(min_rating=4)
    assert kept.n_items == 4
    assert kept.history(0).tolist() == [2]
    assert kept.notes[-1] == "Kept 3 of 5 interactions, those rated at least 4."
    with pytest.raises(DataError, match="no interactions are left"):
        small().filter(min_rating=6)
    with pytest.raises(UsageError, match="has no ratings"):
        Dataset.from_frames(pl.DataFrame(ROWS).drop("rating"), name="bare").filter(min_rating=3)


def test_k_core_repeats_until_everyone_has_enough() -> None:
    # d has one user, so it goes; then u3 has one item left, so u3 goes; the rest is 2 x 2
    rows = [("u1", "a"), ("u1", "b"), ("u2", "a"), ("u2", "b"), ("u3", "a"), ("u3", "d")]
    core = Dataset.from_frames(pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row"), name="core").k_core(2)
    assert core.users["user_id"].to_list() == ["u1", "u2"]
    assert core.items["item_id"].to_list() == ["a", "b"]
    assert core.history(1).tolist() == [0, 1]
    with pytest.raises(DataError, match="no interactions are left"):
        core.k_core(3)


def test_only_the_first_of_repeated_interactions_stays() -> None:
    rows = pl.DataFrame({"user_id": ["u"] * 3, "item_id": ["a", "b", "a"], "time": [1, 2, 3]})
    data = Dataset.from_frames(rows, name="again").without_repeats()
    assert data.history(0).tolist() == [0, 1]
    assert small().without_repeats().notes == ()


def test_the_hash_is_of_the_content_alone() -> None:
    renamed = Dataset.from_frames(pl.DataFrame(ROWS), pl.DataFrame(ITEMS), name="other", notes=["seen"])
    assert renamed.hash == small().hash
    for column, value in (("rating", 2.0), ("time", 11), ("item_id", "d")):
        changed = pl.DataFrame({**ROWS, column: [*ROWS[column][:4], value]})
        assert Dataset.from_frames(changed, pl.DataFrame(ITEMS), name="small").hash != small().hash
    unrated, zero = (pl.DataFrame({**ROWS, "rating": [r, 5.0, 1.0, 4.0, 4.0]}) for r in (None, 0.0))
    assert Dataset.from_frames(unrated, name="n").hash != Dataset.from_frames(zero, name="n").hash
    retitled = pl.DataFrame({**ITEMS, "title": ["Aliens", None, "Casino", "Diva"]})
    assert Dataset.from_frames(pl.DataFrame(ROWS), retitled, name="small").hash != small().hash


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
ID = TEXT.filter(lambda t: t.strip() == t != "")


@settings(max_examples=25)
@given(
    rows=st.lists(
        st.tuples(ID, ID, st.none() | st.floats(-5, 5, width=32), st.none() | st.integers(0, 4_000_000_000)),
        min_size=1,
        max_size=12,
    ),
    title=TEXT,
)
def test_saved_then_loaded_is_identical(tmp_path: Path, rows: list[tuple[object, ...]], title: str) -> None:
    columns = {"user_id": pl.String, "item_id": pl.String, "rating": pl.Float32, "time": pl.Int64}
    items = pl.DataFrame({"item_id": [rows[0][1]], "title": [title], "genres": [["x", title]]})
    data = Dataset.from_frames(pl.DataFrame(rows, schema=columns, orient="row"), items, name="d", notes=["n"])
    data.save(tmp_path / "d")
    back = Dataset.load(tmp_path / "d")
    assert back.hash == data.hash
    assert (back.name, back.notes) == (data.name, data.notes)
    for table in ("interactions", "items", "users"):
        assert getattr(back, table).equals(getattr(data, table))


def test_a_damaged_or_foreign_directory_is_refused(tmp_path: Path) -> None:
    small().save(tmp_path / "d")
    table = tmp_path / "d" / "interactions.parquet"
    table.write_bytes(table.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError):
        Dataset.load(tmp_path / "d")


def test_a_saved_dataset_whose_tables_do_not_fit_is_refused(tmp_path: Path) -> None:
    from tastemaker import artifacts

    data = small()
    about = {"name": "x", "notes": [], "hash": data.hash}
    frames = {"interactions": data.interactions, "items": data.items.head(2), "users": data.users}
    artifacts.save(tmp_path / "d", kind="dataset", json={"about": about}, frames=frames)
    with pytest.raises(ArtifactError, match="name items that have no row"):
        Dataset.load(tmp_path / "d")
    artifacts.save(
        tmp_path / "e", kind="dataset", json={"about": {**about, "hash": "0"}}, frames={**frames, "items": data.items}
    )
    with pytest.raises(ArtifactError, match="not those of the dataset"):
        Dataset.load(tmp_path / "e")


def test_who_lost_every_row_is_no_obstacle_to_saving(tmp_path: Path) -> None:
    small().filter(min_rating=4).save(tmp_path / "some")
    fewer = small().filter(min_rating=5)
    fewer.save(tmp_path / "few")
    loaded = Dataset.load(tmp_path / "few")
    assert loaded.hash == fewer.hash
    assert loaded.arrivals == fewer.arrivals


def test_many_users_are_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "_MAX_JSON", 2000)
    rows = pl.DataFrame({"user_id": [f"u{n}" for n in range(1000)], "item_id": ["a"] * 1000})
    many = Dataset.from_frames(rows, name="many")
    many.save(tmp_path / "many")
    assert Dataset.load(tmp_path / "many").arrivals == many.arrivals
