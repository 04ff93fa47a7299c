"""Columns go by our names, by the usual ones or by those that were told, and nothing is guessed between two."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.data import describe, load_dataset
from tastemaker.data.readers._columns import ALIASES, OURS, columns_of, plain
from tastemaker.errors import ConfigError, DataError


def table(folder: Path, header: str, *rows: str, name: str = "ratings.csv") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join([header, *rows]) + "\n")
    return folder / name


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("userId,movieId,rating,timestamp", "userId as user_id, movieId as item_id, timestamp as time"),
        ("user,item,score,ts", "user as user_id, item as item_id, score as rating, ts as time"),
        (
            "uid,asin,overall,unixReviewTime",
            "uid as user_id, asin as item_id, overall as rating, unixReviewTime as time",
        ),
        ("USER-ID,ISBN,Stars,Date", "USER-ID as user_id, ISBN as item_id, Stars as rating, Date as time"),
        ("reviewerID,parent_asin,rating,time", "reviewerID as user_id, parent_asin as item_id"),
        ("customer_id,product_id,rating,time", "customer_id as user_id, product_id as item_id"),
    ],
)
def test_usual_names_are_read_and_told_in_one_note(tmp_path: Path, header: str, told: str) -> None:
    data = load_dataset(table(tmp_path, header, "u,a,5,100", "u,b,3,50"))
    assert data.history(0).tolist() == [1, 0]
    assert data.items["item_id"].to_list() == ["a", "b"]
    assert data.interactions["rating"].to_list() == [3, 5]
    assert describe(data).notes == (f"Read {told}.",)


def test_every_format_and_every_table_knows_them(tmp_path: Path) -> None:
    movies = {"movieId": [7, 8], "name": ["Alien", "Heat"], "Genre": ["Horror|SciFi", "Crime"], "id_imdb": [1, 2]}
    people = {"id": ["u"], "name": ["Ann"]}
    seen = {"userId": ["u", "u"], "movieId": [8, 7], "timestamp": [5, 9]}
    for suffix, write in (("parquet", pl.DataFrame.write_parquet), ("jsonl", pl.DataFrame.write_ndjson)):
        folder = tmp_path / suffix
        folder.mkdir()
        for name, rows in (("interactions", seen), ("items", movies), ("users", people)):
            write(pl.DataFrame(rows), folder / f"{name}.{suffix}")
        data = load_dataset(folder)
        assert data.titles == ["Alien", "Heat"]
        assert data.items["genres"].to_list() == [["Horror", "SciFi"], ["Crime"]]
        assert data.items["id_imdb"].to_list() == ["1", "2"]
        assert data.users.rows() == [("u", "Ann")]  # a person's name is no title
        (note,) = data.notes
        assert note.endswith("timestamp as time, name as title, Genre as genres, id as user_id.")
        assert note.count("movieId as item_id") == 1


def test_our_own_name_wins_over_a_usual_one(tmp_path: Path) -> None:
    data = load_dataset(table(tmp_path, "uid,user_id,item_id,name,title", "1,u,a,x,Alien"))
    assert (data.users["user_id"].to_list(), data.titles, data.notes) == (["u"], ["Alien"], ())


def test_two_likely_columns_are_an_error_that_says_how_to_choose(tmp_path: Path) -> None:
    file = table(tmp_path, "user_id,asin,parent_asin", "u,a,p")
    with pytest.raises(DataError) as raised:
        load_dataset(file)
    assert str(raised.value) == (
        f"{file}:1: 'asin' and 'parent_asin' may each be item_id; say which it is, as with columns.item_id=asin"
    )
    assert load_dataset(file, columns={"item_id": "parent_asin"}).items["item_id"].to_list() == ["p"]
    items = table(tmp_path, "id,sku,title", "1,a,Alien", name="items.csv")
    with pytest.raises(DataError, match=r"items\.csv:1: 'id' and 'sku' may each be item_id"):
        load_dataset(table(tmp_path, "user_id,item_id", "u,a"), items=items)


def test_what_is_told_wins_and_is_not_noted(tmp_path: Path) -> None:
    file = table(tmp_path, "user,item,score,date,stars", "u,a,2,2024-01-01,5")
    data = load_dataset(file, columns={"user_id": "user", "rating": "stars", "time": "date"}, time="iso")
    assert data.interactions["rating"].to_list() == [5]
    assert data.notes == ("Read item as item_id.",)
    swapped = load_dataset(table(tmp_path, "user,item", "u,a"), columns={"user_id": "item", "item_id": "user"})
    assert (swapped.users["user_id"].to_list(), swapped.items["item_id"].to_list()) == (["a"], ["u"])
    taken = load_dataset(table(tmp_path, "item,asin", "u,a"), columns={"user_id": "item"})
    assert (taken.users["user_id"].to_list(), taken.items["item_id"].to_list()) == (["u"], ["a"])
    with pytest.raises(DataError, match="no column 'who' for user_id"):
        load_dataset(table(tmp_path, "user,item", "u,a"), columns={"user_id": "who"})


def test_a_column_can_be_left_out(tmp_path: Path) -> None:
    file = table(tmp_path, "user_id,item_id,date,time", "u,a,yesterday,today")
    assert load_dataset(file, columns={"time": None}).interactions["time"].to_list() == [None]
    with pytest.raises(DataError, match="no column for user_id"):
        load_dataset(file, columns={"user_id": None})
    with pytest.raises(ConfigError, match="'users' is not a column of ours"):
        load_dataset(file, columns={"users": None})


def test_a_date_where_seconds_are_expected_says_what_to_set(tmp_path: Path) -> None:
    file = table(tmp_path, "user,item,date", "u,a,2024-05-01")
    with pytest.raises(DataError, match=r"ratings\.csv:2: time '2024-05-01' .*if not, say so: .*time=iso"):
        load_dataset(file)
    assert load_dataset(file, time="iso").interactions["time"].to_list() == [1_714_521_600]


def test_no_name_stands_for_two_of_ours() -> None:
    names = Counter([*(plain(ours) for ours in OURS), *(name for names in ALIASES.values() for name in names), "id"])
    assert [name for name, count in names.items() if count > 1] == []
    assert [name for name in names if name != plain(name)] == []


HEADERS = st.lists(st.sampled_from([*OURS, *(n for names in ALIASES.values() for n in names), "id", "x"]), unique=True)


@given(header=HEADERS, wanted=st.lists(st.sampled_from(OURS), unique=True), told=st.dictionaries(
    st.sampled_from(OURS), st.sampled_from(["user_id", "uid", "item", "asin", "x", "name", None])
))  # fmt: skip
def test_any_header_is_understood_in_one_way_or_refused(
    header: list[str], wanted: list[str], told: dict[str, str | None]
) -> None:
    try:
        found = columns_of(header, wanted, told, Path("t.csv"))
    except DataError:
        usual = [name for name in header if plain(name) != "x"]
        assert len(usual) > 1  # at least two columns that somebody uses for one of ours
        return
    guessed = {ours: theirs for ours, theirs in found.items() if ours not in told}
    assert {ours: found[ours] for ours in found.keys() & told.keys()} == {
        ours: theirs for ours, theirs in told.items() if theirs is not None and ours in wanted
    }
    assert len({*guessed.values()}) == len(guessed)
    assert not {*guessed.values()} & {found[ours] for ours in found.keys() & told.keys()}
    for ours, theirs in guessed.items():
        assert theirs == ours or (
            plain(theirs) in {plain(ours), *ALIASES[ours]} and ours not in {*header} - {*found.values()}
        )
