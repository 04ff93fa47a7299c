"""A checkup tells everything that is wrong or odd about somebody's files, how often, where first, and what to do."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.data import Dataset, load_dataset
from tastemaker.data.checkup import Checkup, Finding, checkup
from tastemaker.errors import ConfigError, DataError, UsageError

NOW = 1_700_000_000
HEADER = "user_id,item_id,rating,time,title"
GOOD = [f"u{n // 4},i{n % 7},{1 + n % 5},{1_600_000_000 + 100 * n},Film {n % 7}" for n in range(48)]


def table(folder: Path, *rows: str, header: str = HEADER, name: str = "ratings.csv") -> Path:
    file = folder / name
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return file


def looked(path: Path, *items: Path, **options: object) -> Checkup:
    return checkup(path, items, now=NOW, **options)


def one(found: Checkup, about: str, words: str) -> Finding:
    """The finding about that which says these words, of which there must be one."""
    told = [f for f in found.findings if f.about == about and words in f.told]
    assert len(told) == 1, found.findings
    return told[0]


def test_of_good_files_nothing_is_told(tmp_path: Path) -> None:
    found = looked(table(tmp_path, *GOOD))
    assert found.findings == ()
    assert (found.good, found.interactions, found.users, found.items) == (True, 48, 12, 7)
    assert found.options == {}


ODD = {
    "alike": ("user_id", "'u1' and 'U 1'", 2, ("ratings.csv:6", "ratings.csv:50"), [
        f"U 1{row[2:]}" for row in GOOD[4:8]]),
    "again": ("rows", "same as an earlier", 2, ("ratings.csv:50", "ratings.csv:51"), GOOD[:2]),
    "otherwise": ("rows", "at another time", 1, ("ratings.csv:50",), ["u0,i0,1,1600000900,Film 0"]),
    "short": ("users", "of 14 with fewer than 3", 2, ("ratings.csv:50", "ratings.csv:52"), [
        "v,i0,1,1600000900,Film 0", "v,i1,2,1600000900,Film 1", "w,i0,1,1600000900,Film 0"]),
    "unrated": ("rating", "rows without one", 1, ("ratings.csv:50",), ["u0,i5,,1600000900,Film 5"]),
    "untimed": ("time", "rows without one", 1, ("ratings.csv:50",), ["u0,i5,1,,Film 5"]),
    "early": ("time", "early 1970", 1, ("ratings.csv:50",), ["u0,i5,1,0,Film 5"]),
    "future": ("time", "the future", 1, ("ratings.csv:50",), [f"u0,i5,1,{NOW + 2 * 86_400},Film 5"]),
    "untitled": ("title", "without one", 1, ("ratings.csv:50",), ["u0,x,1,1600000900,"]),
    "like title": ("title", "another item has too", 2, ("ratings.csv:2", "ratings.csv:50"), [
        "u0,x,1,1600000900,Film 0"]),
    "hidden": ("title", "print nothing", 1, ("ratings.csv:50",), ["u0,x,1,1600000900,Film\u200b X"]),
    "two titles": ("items", "1 items have more than one title", None, (), ["u0,i5,1,1600000900,Film Five"]),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_is_told_with_count_and_lines(tmp_path: Path, case: str) -> None:
    about, words, count, first, rows = ODD[case]
    found = looked(table(tmp_path, *GOOD, *rows))
    told = one(found, about, words)
    assert (told.state, told.count, told.first) == ("odd", count, first)
    assert found.good
    assert len(found.findings) == 1


BAD = {
    "id": ("user_id", "is not an id", " u0,i5,1,1600000900,Film 5"),
    "item": ("item_id", "is not an id", "u0,,1,1600000900,Film 5"),
    "rating": ("rating", "rating '4,5' is not a number", 'u0,i5,"4,5",1600000900,Film 5'),
    "time": ("time", "is not a time in seconds", "u0,i5,4,1st of May,Film 5"),
    "width": ("rows", "has 6 fields where 5 are expected", "u0,i5,4,1600000900,Film 5,extra"),
    "quote": ("rows", "not well-formed CSV", 'u0,i5,4,1600000900,"Film" 5'),
    "nul": ("rows", "NUL", "u0,i5,4,1600000900,Film\0 5"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_rows_are_told_by_what_is_wrong_with_them(tmp_path: Path, case: str) -> None:
    about, words, row = BAD[case]
    found = looked(table(tmp_path, row, *GOOD, row))
    told = one(found, about, words)
    assert (told.state, told.count, told.first) == ("bad", 2, ("ratings.csv:2", "ratings.csv:51"))
    assert "on_bad=skip" in told.advice
    assert (found.good, found.interactions, len(found.findings)) == (False, 48, 1)


def test_a_table_is_read_as_it_seems_to_be_written_and_the_options_are_told(tmp_path: Path) -> None:
    file = tmp_path / "shop.txt"
    rows = [f"{u};{i};{r};{t}000;{n}" for u, i, r, t, n in (row.split(",") for row in GOOD)]
    text = "\n".join(["Customer ID;SKU;stars;timestamp;name", *rows, "u0;i5;4;1600000900000;Amélie"]) + "\n"
    file.write_bytes(text.encode("cp1252"))
    found = looked(file)
    assert {f.about for f in found.findings if f.state == "bad"} == {"file", "time"}
    odd = {"user_id", "item_id", "time", "rating", "title", "items"}
    assert {f.about for f in found.findings if f.state == "odd"} == odd
    assert one(found, "user_id", "'Customer ID' is read as user_id").state == "odd"
    assert one(found, "file", "lines not in utf-8, likely cp1252").first == ("shop.txt:50",)
    assert "milliseconds" in one(found, "time", "not in seconds").told
    assert found.interactions == 49
    assert found.options == {"encoding": "cp1252", "delimiter": ";", "time": "milliseconds"}
    data = load_dataset("table", file, **found.options)
    assert data.n_interactions == 49
    again = looked(file, **found.options)
    assert again.good
    assert again.options == {}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-8-sig"])
def test_the_encoding_is_found(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "r.csv"
    file.write_bytes("\n".join([HEADER, *GOOD, "u0,i5,4,1600000900,Amélie", ""]).encode(encoding))
    found = looked(file)
    assert found.options.get("encoding", "utf-8-sig") == encoding
    assert (found.good, found.interactions) == (encoding == "utf-8-sig", 49)
    assert looked(file, encoding=encoding).good


@pytest.mark.parametrize(
    ("time", "form"), [("2022-05-0{}", "iso"), ("2022-05-0{}T10:00:00Z", "iso"), ("160000000{}000", "milliseconds")]
)
def test_how_times_are_written_is_found(tmp_path: Path, time: str, form: str) -> None:
    rows = [f"u,i{n},{n},{time.format(n)}" for n in range(1, 6)]
    file = table(tmp_path, *rows, header="user_id,item_id,rating,time")
    told = one(looked(file), "time", f"not in seconds but in {form}: 5 of the first 5")
    assert (told.state, told.advice) == ("bad", f"say -o time={form}")
    assert "time" not in {f.about for f in looked(file, time=form).findings}


def test_times_written_in_every_way_are_taken_as_said_and_the_others_are_bad_rows(tmp_path: Path) -> None:
    rows = [f"u,i{n},{time}" for n, time in enumerate(["1 May", "May 2", "3.5.", "2022-05-04", "1600000000"])]
    found = looked(table(tmp_path, *rows, header="user_id,item_id,time"))
    assert one(found, "time", "time '1 May' is not a time in seconds").count == 4
    assert "time" not in found.options


def test_a_table_with_an_order_needs_no_times(tmp_path: Path) -> None:
    rows = [f"u,i{n},{n},Film {n}" for n in range(5)]
    assert looked(table(tmp_path, *rows, header="user_id,item_id,order,title")).findings == ()


def test_what_is_wrong_comes_first(tmp_path: Path) -> None:
    header = HEADER.replace("rating", "stars")
    states = [finding.state for finding in looked(table(tmp_path, *GOOD, ",,,,", header=header)).findings]
    assert states == ["bad", "odd"]


def test_parquet_and_json_lines_are_looked_through_too(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user": ["u"] * 4, "asin": list("abcb"), "rating": [1, 2, 3, 2], "time": [1_600_000_000] * 4})
    frame.write_parquet(tmp_path / "r.parquet")
    frame.write_ndjson(tmp_path / "r.jsonl")
    for name, line in (("r.parquet", 4), ("r.jsonl", 4)):
        found = looked(tmp_path / name)
        assert found.options == {}
        assert one(found, "rows", "same as an earlier").first == (f"{name}:{line}",)


def test_items_are_checked_against_the_interactions(tmp_path: Path) -> None:
    rows = [row.rpartition(",")[0] for row in GOOD]
    file = table(tmp_path, *rows, "u0,I1,4,1600000900", header="user_id,item_id,rating,time")
    films = table(tmp_path, *(f"i{n},Film {n}" for n in range(6)), "i0,Other", header="item_id,name", name="films.csv")
    found = looked(file, films)
    assert one(found, "item_id", "rows of 2 items that no table of items has").count == 7
    assert one(found, "item_id", "blanks or capitals").first == ("ratings.csv:3", "ratings.csv:50")
    assert one(found, "item_id", "'i0' has been described on an earlier line").first == ("films.csv:8",)
    assert one(found, "title", "'name' is read as title").state == "odd"
    strangers = table(tmp_path, "x,Film", "y,Other film", header="item_id,title", name="strangers.csv")
    told = one(looked(file, strangers), "item_id", "that no table of items has")
    assert (told.state, told.count) == ("bad", 49)


def test_several_tables_of_items_are_one_and_should_be_written_like_the_first(tmp_path: Path) -> None:
    file = table(tmp_path, *(row.rpartition(",")[0] for row in GOOD), header="user_id,item_id,rating,time")
    early = table(tmp_path, *(f"i{n},Film {n}" for n in range(4)), header="item_id,title", name="early.csv")
    late = table(tmp_path, *(f"i{n};Film {n}" for n in range(3, 7)), header="item_id;title", name="late.csv")
    found = looked(file, early, late)
    assert one(found, "file", "it seems to be ';'").advice == "write it as ratings.csv is written"
    assert one(found, "item_id", "that an earlier table describes").first == ("late.csv:2",)
    assert one(found, "items", "more than one table").count == 2
    assert (found.options, found.items, len(found.findings)) == ({}, 7, 3)


def test_what_cannot_be_read_is_told_with_all_that_could_be(tmp_path: Path) -> None:
    file = table(tmp_path, "a,b", header="what,else")
    films = table(tmp_path, "i0,", "i1,Film", header="item_id,title", name="films.csv")
    found = looked(file, films)
    assert "no column for user_id" in one(found, "file", "cannot be read").told
    assert one(found, "title", "without one").first == ("films.csv:2",)
    assert (found.good, found.interactions) == (False, 0)
    bare = tmp_path / "u.tsv"
    bare.write_text("196\t242\t3\t881250949\n")
    assert "put a line of names above" in one(looked(bare), "file", "u.tsv:1").told
    sheet = tmp_path / "sheet.csv"
    sheet.write_bytes(b"PK\x03\x04...")
    assert "Excel" in one(looked(sheet), "file", "cannot be read").told
    packed = tmp_path / "packed.csv"
    packed.write_bytes(gzip.compress(b"user_id,item_id\nu,a\n"))
    assert "gzip" in one(looked(packed), "file", "cannot be read").told


def test_no_times_ratings_alike_and_one_user_for_all(tmp_path: Path) -> None:
    rows = [f"u{n % 40},i{n % 3},5" for n in range(120)] + [f"bot,i{n},5" for n in range(100)]
    found = looked(table(tmp_path, *rows, header="user_id,item_id,rating"))
    assert one(found, "time", "no row has one").count is None
    assert one(found, "rating", "all ratings are alike, 5").state == "odd"
    assert one(found, "users", "rows of one user, 'bot', 45% of all").count == 100
    assert one(found, "title", "no item has one").advice
    rows = [f"u{n},gift,{n % 5}" for n in range(60)] + [f"u{n},i{n},{n % 5}" for n in range(60)]
    found = looked(table(tmp_path, *rows, header="user_id,item_id,rating"))
    assert one(found, "items", "rows of one item, 'gift', 50% of all").first[0] == "ratings.csv:2"


def test_a_dataset_by_name_and_one_that_was_saved_are_looked_through_by_ids(tmp_path: Path) -> None:
    rows = pl.DataFrame({"user_id": ["u"] * 5, "item_id": list("abcda"), "time": [NOW * 2] * 5})
    items = pl.DataFrame({"item_id": list("abc"), "title": ["A", "A", ""]})
    Dataset.from_frames(rows, items, name="small").save(tmp_path / "small")
    found = looked(tmp_path / "small")
    assert one(found, "reading", "no row of their own").count is None
    assert one(found, "time", "the future").first == ("user u item a", "user u item b", "user u item c")
    assert one(found, "title", "without one").first == ("item c", "item d")
    (tmp_path / "u.data").write_text("1\t1\tx\t100\n")
    (tmp_path / "u.user").write_text("1|24|M|other|85711\n")
    (tmp_path / "u.item").write_text("1|Alien (1979)|d||u|" + "|".join("0" * 19) + "\n", encoding="latin-1")
    assert "u.data:1: rating 'x'" in one(looked(tmp_path), "file", "cannot be read").told


def test_what_is_asked_wrongly_is_an_error(tmp_path: Path) -> None:
    file = table(tmp_path, *GOOD)
    with pytest.raises(DataError, match="there is nothing here"):
        looked(tmp_path / "nothing.csv")
    with pytest.raises(DataError, match="there is nothing here"):
        looked(file, tmp_path / "nothing.csv")
    with pytest.raises(ConfigError, match="no option 'delimeter'"):
        looked(file, delimeter=";")
    load_dataset(file).save(tmp_path / "saved")
    with pytest.raises(UsageError, match="brings its own items"):
        looked(tmp_path / "saved", file)


@settings(max_examples=60)
@given(body=st.binary(max_size=60), header=st.booleans(), again=st.integers(0, 3))
def test_any_file_has_a_checkup(tmp_path: Path, body: bytes, header: bool, again: int) -> None:
    file = tmp_path / "any.csv"
    file.write_bytes(HEADER.encode() * header + b"\n" + body + "\n".join(["", *GOOD * again]).encode())
    found = looked(file, file)
    assert found.good or found.findings


def test_a_column_is_told_by_its_whole_name(tmp_path: Path) -> None:
    found = looked(table(tmp_path, *GOOD, header=HEADER.replace("user_id", "User-ID")))
    assert one(found, "user_id", "'User-ID' is read as user_id").state == "odd"
