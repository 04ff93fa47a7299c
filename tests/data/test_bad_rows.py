"""Ugly files become a Dataset or a DataError that names file and line: nothing else, and nothing vanishes."""

from __future__ import annotations

import csv
import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.data import Dataset, load_dataset
from tastemaker.data.readers._rows import BadRow, csv_rows
from tastemaker.errors import DataError

WRONG_NUMBERS = [
    "１２", "1_000", "٣", "nan", "inf", "-inf", "9" * 5000, "1e3", "3e0", "+3", "03", "3.", ".5", "0x3", "3 ", " 3",
    "3,0", "1e999", "--1", "²", "True", "-1", "6", "three",
]  # fmt: skip


def table(folder: Path, text: str | bytes, name: str = "ratings.csv") -> Path:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return file


@pytest.mark.parametrize("wrong", WRONG_NUMBERS)
def test_a_rating_is_plain_digits_in_range(tmp_path: Path, wrong: str) -> None:
    text = f'user_id,item_id,rating\nu,a,5\nu,b,"{wrong}"\n'
    with pytest.raises(DataError, match=r"ratings\.csv:3: rating .* is not a number between 1 and 5"):
        load_dataset(table(tmp_path, text), rating_range=(1, 5))


@pytest.mark.parametrize("wrong", [*(w for w in WRONG_NUMBERS if w != "6"), "1.0", ""])
@pytest.mark.parametrize("column", [0, 1])
def test_a_movielens_id_is_a_plain_whole_number(tmp_path: Path, wrong: str, column: int) -> None:
    fields = ["1", "1", "5", "100"]
    fields[column] = wrong
    table(tmp_path, "1\t1\t5\t100\n" + "\t".join(fields) + "\n", "u.data")
    with pytest.raises(DataError, match=r"u\.data:2: (user|item)_id .* is not a whole number as id"):
        load_dataset("ml-100k", tmp_path)


@pytest.mark.parametrize(
    "wrong", ["-5", "978300760000", "1e9", "9999-01-01", "nan", "１２", "253402300800", "4102444800", "4102444799.99"]
)
def test_a_time_is_in_seconds_between_1970_and_2100(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(DataError, match=r"ratings\.csv:2: time .* is not a time in seconds"):
        load_dataset(table(tmp_path, f"user_id,item_id,time\nu,a,{wrong}\n"))
    good = load_dataset(table(tmp_path, "user_id,item_id,time\nu,a,4102444799\nu,b,12.75\nu,c,\n"))
    assert good.interactions["time"].to_list() == [12, 4102444799, None]


@pytest.mark.parametrize(
    "wrong", ["2020-02-30", "2020-13-01", "1969-12-31", "2100-01-01", "01/02/2020", "２０２０-01-01"]
)
def test_a_date_is_a_real_one(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(DataError, match=r"ratings\.csv:2: time .* is not a date"):
        load_dataset(table(tmp_path, f"user_id,item_id,time\nu,a,{wrong}\n"), time="iso")


BREAKAGES = [
    "{u},{i}",
    "{u},{i},3,1,1",
    ",{i},3,1",
    "{u},,3,1",
    "{u},{i},nan,1",
    "{u},{i},3,x",
    '{u},"{i}"x,3,1',
    "{u},\0,3,1",
]


@pytest.mark.parametrize("seed", range(25))
def test_bad_rows_are_counted_with_their_lines(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    rows = [f"u{n % 7},i{n},3,{n}" for n in range(60)]
    planted = sorted(chance.sample(range(60), chance.randint(1, 9)))
    for at in planted:
        rows[at] = chance.choice(BREAKAGES).format(u="u1", i=f"i{at}")
    file = table(tmp_path, "user_id,item_id,rating,time\n" + "\n".join(rows) + "\n")
    with pytest.raises(DataError) as raised:
        load_dataset(file)
    assert (raised.value.path, raised.value.line) == (file, planted[0] + 2)
    found: list[BadRow] = []
    data = load_dataset(file, on_bad="skip", report=found.append)
    assert [bad.line for bad in found] == [at + 2 for at in planted]
    assert data.n_interactions == 60 - len(planted)
    assert data.notes[0].startswith(f"Skipped {len(planted)} bad rows: ratings.csv:{planted[0] + 2}")


def test_lines_are_counted_where_a_quoted_field_has_several(tmp_path: Path) -> None:
    items = table(tmp_path, 'item_id,title\na,"one\ntwo\nthree"\nb,ok\nb,again\n', "items.csv")
    file = table(tmp_path, "user_id,item_id\nu,a\nu,b\n", "interactions.csv")
    with pytest.raises(DataError, match=r"items\.csv:6: item_id 'b' has been described on an earlier line"):
        load_dataset(file, items=items)
    assert load_dataset(file, items=items, on_bad="skip").titles == ["one\ntwo\nthree", "ok"]


def test_chunks_do_not_disturb_lines_or_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tastemaker.data.readers._rows.CHUNK", 7)
    rows = [f"u,i{n},{9 if n in (13, 40) else 3}" for n in range(50)]
    file = table(tmp_path, "user_id,item_id,rating\n" + "\n".join(rows))
    found: list[BadRow] = []
    data = load_dataset(file, on_bad="skip", report=found.append, rating_range=(1, 5))
    assert [bad.line for bad in found] == [15, 42]
    assert [data.items["item_id"][int(i)] for i in data.history(0)] == [f"i{n}" for n in range(50) if n not in (13, 40)]


def test_parquet_rows_and_json_lines_are_named_too(tmp_path: Path) -> None:
    file = tmp_path / "r.parquet"
    pl.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "rating": [1.0, float("nan")]}).write_parquet(file)
    with pytest.raises(DataError, match=r"r\.parquet:2: rating 'NaN'"):
        load_dataset(file)
    lines = [
        '{"user_id": "u", "item_id": 7}',
        "[1]",
        "{",
        '{"user_id": ["u", 1]}',
        '{"user_id": "\\ud800", "item_id": 1}',
    ]
    lines += ['{"user_id": true, "item_id": 1}', "[" * 100_000, '{"user_id": NaN, "item_id": 8}', '{"user_id": "u"}']
    file = table(tmp_path, "\n".join(lines), "r.jsonl")
    found: list[BadRow] = []
    data = load_dataset(file, on_bad="skip", report=found.append)
    assert data.items["item_id"].to_list() == ["7", "8"]
    assert [bad.line for bad in found] == [2, 3, 4, 5, 6, 7, 9]


HEADER = "user_id,item_id,rating,time\n"
ROW = "u,a,5,100\n"
TITLES = {
    "missing": "", "spaces": "   ", "long": "x" * 10_000, "emoji": "🎬🎬", "rtl": "\u202eevil",
    "marks": "Z\u0301\u0327",
    "formula": "=cmd|' /C calc'!A0", "html": "<script>alert(1)</script>", "slot": "[HistoryEmb]",
    "chat": "</s><|im_start|>system", "separator": "a\u2028b",
}  # fmt: skip


def corpus() -> Iterator[tuple[str, bytes, bool | None]]:
    """Name, content and whether it must be read (None: either will do)."""
    good = (HEADER + ROW + "u,b,4,101\nv,a,3,102\n").encode()
    yield "empty", b"", False
    yield "header only", HEADER.encode(), False
    yield "no header", ROW.encode() * 2, False
    yield "byte order mark", b"\xef\xbb\xbf" + good, True
    yield "utf-16", good.decode().encode("utf-16"), False
    yield "latin-1", good + "u,\xe9,1,1\n".encode("latin-1"), False
    yield "invalid utf-8", good + b"u,\xff\xfe,1,1\n", False
    yield "nul", good + b"u,\0,1,1\n", False
    yield "cr only", good.replace(b"\n", b"\r"), True
    yield "crlf", good.replace(b"\n", b"\r\n"), True
    yield "mixed newlines", good.replace(b"\n", b"\r\n", 1), True
    yield "blank lines", good.replace(b"\n", b"\n\n"), True
    yield "no final newline", good[:-1], True
    yield "unterminated quote", good + b'u,"a,5,100\n' + good, False
    yield "quote in middle", good + b'u,"a"b,5,100\n', False
    yield "long field", good + b"u," + b"a" * 131_073 + b",5,100\n", False
    yield "long line", good + b"a" * 50_000_000, False
    yield "many columns", (",".join(f"c{n}" for n in range(10_000)) + "\n").encode(), False
    yield "extra column", b"x," + good.replace(b"\n", b"\nx,")[:-2], True
    yield "missing column", b"user_id,rating\nu,5\n", False
    yield "duplicated column", b"user_id,item_id,item_id\nu,a,b\n", False
    yield "reordered columns", b"time,item_id,user_id\n100,a,u\n", True
    for delimiter in ("::", "\t", ";", "|"):
        yield f"delimiter {delimiter!r}", good.replace(b",", delimiter.encode()), False
    for wrong in ("", " u", "u ", "a\u00a0", "\x7f", "x" * 257):
        yield f"id {wrong[:9]!r}", f'{HEADER}"{wrong}",a,5,100\n'.encode(), False
    for fine in ("-1", "1.5", "1e3", "007", "１２", "ü", "a,b", "=1+1", "x" * 256):
        yield f"id {fine[:9]!r}", f'{HEADER}"{fine}",a,5,100\n'.encode(), True
    yield "same pair twice", good + ROW.encode() * 2, True
    yield "one row", (HEADER + ROW).encode(), True
    yield "trailing garbage", good + b"\x1a", False
    yield "not a zip", b"PK\x03\x04" + good, False
    yield "gzip", b"\x1f\x8b\x08" + good, False
    yield "quotes around all", b'"user_id","item_id"\n"u","a"\n', True


@pytest.mark.parametrize(("name", "content", "readable"), [pytest.param(*c, id=c[0]) for c in corpus()])
def test_ugly_tables(tmp_path: Path, name: str, content: bytes, readable: bool | None) -> None:
    file = table(tmp_path, content)
    start = time.process_time()
    if readable:
        assert load_dataset(file).n_interactions > 0
    else:
        with pytest.raises(DataError) as raised:
            load_dataset(file)
        assert raised.value.path == file
        assert str(raised.value).count("\n") == 0
        assert len(str(raised.value)) < 500
    assert time.process_time() - start < 5


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES)
def test_ugly_titles_are_kept_as_they_are(tmp_path: Path, title: str) -> None:
    items = table(tmp_path, "".join(f"{json.dumps(r)}\n" for r in [{"item_id": "a", "title": title}]), "items.jsonl")
    data = load_dataset(table(tmp_path, HEADER + ROW), items=items)
    assert data.titles == [title.strip() or "a"]


READERS = {
    "table": ("t.csv", "user_id,item_id,rating,time\n", ","),
    "recbole": ("t.inter", "user_id:token\titem_id:token\trating:float\ttimestamp:float\n", "\t"),
    "ml-100k": ("u.data", "", "\t"),
}
CELL = st.one_of(
    st.integers(-2, 9).map(str),
    st.sampled_from(["", "u", "nan", "1_0", '"', '"a"', "é", "5.5", "\t", ",", "\n", "\r", "\0", "\u2028", "100"]),
    st.text(max_size=4),
)
NOISE = st.one_of(
    st.lists(st.lists(CELL, min_size=3, max_size=5), max_size=6),
    st.lists(st.tuples(*[st.integers(1, 5).map(str)] * 4).map(list), min_size=1, max_size=6),
)


@settings(max_examples=100)
@given(reader=st.sampled_from(sorted(READERS)), rows=NOISE, raw=st.binary(max_size=12), header=st.booleans())
def test_any_file_is_a_dataset_or_a_data_error(
    tmp_path: Path, reader: str, rows: list[list[str]], raw: bytes, header: bool
) -> None:
    name, first, separator = READERS[reader]
    body = (first * header + "\n".join(separator.join(row) for row in rows) + "\n").encode("utf-8", "surrogatepass")
    table(tmp_path, "1|Alien (1979)|d||u|" + "|".join("0" * 19) + "\n", "u.item")
    table(tmp_path, "1|24|M|other|85711\n", "u.user")
    for content in (body, body + raw, raw + body):
        file = table(tmp_path, content, name)
        try:
            data = load_dataset(reader, tmp_path if reader == "ml-100k" else file)
        except DataError as error:
            where = error.path
            assert where
            continue
        assert isinstance(data, Dataset)
        assert data.n_interactions == data.interactions.drop_nulls(["user", "item"]).height > 0
        assert data.hash


@pytest.mark.parametrize(("name", "separator"), [("q.csv", ","), ("q.tsv", "\t")])
def test_a_stray_quote_costs_its_own_line_and_no_other(tmp_path: Path, name: str, separator: str) -> None:
    rows = [["user_id", "item_id", "title"], *([f"u{n % 9}", f"i{n}", f"Film {n}"] for n in range(2000))]
    rows[11][2] = '"Unfinished'
    rows[900][2] = '"In two\nlines"'
    rows[1500][2] = '"Well quoted"'
    skipped: list[BadRow] = []
    text = "\n".join(separator.join(row) for row in rows) + "\n"
    data = load_dataset(table(tmp_path, text, name), on_bad="skip", report=skipped.append)
    assert data.n_interactions == 1999
    assert [bad.line for bad in skipped] == [12]
    assert {"In two\nlines", "Well quoted"} <= set(data.titles)
    with pytest.raises(DataError, match=f"{name}:12: is not well-formed CSV"):
        load_dataset(tmp_path / name)


@settings(max_examples=200)
@given(text=st.text(st.sampled_from('ab,; "\n\r\t'), max_size=40), delimiter=st.sampled_from(",;\t "))
def test_lines_without_a_quote_are_split_as_csv_splits_them(tmp_path: Path, text: str, delimiter: str) -> None:
    file = table(tmp_path, text.replace('"', ""))
    lines = file.read_text().split("\n")
    expected = [(n, row) for n, line in enumerate(lines, 1) for row in csv.reader([line], delimiter=delimiter) if row]
    assert list(csv_rows(file, delimiter)) == expected
    assert list(csv_rows(table(tmp_path, text), delimiter, quote=None)) == [
        (n, line.split(delimiter)) for n, line in enumerate(re.split("\r\n|\r|\n", text), 1) if line
    ]


def test_a_field_longer_than_csv_allows_is_refused_without_quotes_too(tmp_path: Path) -> None:
    file = table(tmp_path, "a,b\n" + "x" * 131_073 + ",y\nu,v\n")
    assert [type(row) for _, row in csv_rows(file, ",")] == [list, str, list]


def test_a_first_line_that_is_no_json_is_left_out_like_any_other(tmp_path: Path) -> None:
    good = '{"user_id": "u", "item_id": "a"}'
    file = table(tmp_path, f"not json\n{good}\n", "rows.jsonl")
    assert load_dataset(file, on_bad="skip").n_interactions == 1
    with pytest.raises(DataError, match=r"rows\.jsonl:1: is not JSON"):
        load_dataset(file)
    wide = "".join(json.dumps({"user_id": "u", "item_id": "a", f"key{n}": 1}) + "\n" for n in range(2000))
    with pytest.raises(DataError, match=r"rows\.jsonl:999: has more than 1,000 different keys"):
        load_dataset(table(tmp_path, wide, "rows.jsonl"))
