"""Each format is read as its files mean it, and the same facts give the same Dataset whatever the source."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.data import Dataset, load_dataset, load_split
from tastemaker.data.readers import recbole
from tastemaker.data.readers._movielens import GENRES
from tastemaker.errors import ConfigError, DataError, UnknownNameError, UsageError

FILMS = [
    (1, "Toy Story (1995)", ["Animation", "Children's"]),
    (2, "Carmen, La (1983) (V)", ["Drama"]),
    (3, "unknown", ["unknown"]),
    (4, "Misérables, Les (1995)", ["Drama", "Musical"]),
]
RATINGS = [(2, 1, 5, 100), (1, 4, 3, 50), (2, 3, 1, 100), (1, 1, 4, 40), (2, 2, 4, 90)]
PEOPLE = [(1, 24, "M", "technician", "85711"), (2, 53, "F", "other", "T8H1N")]


def u_item(films: list[tuple[int, str, list[str]]]) -> bytes:
    flags = [[str(int(g in genres)) for g in GENRES] for _, _, genres in films]
    rows = ["|".join([str(i), t, "01-Jan-1995", "", "http", *f]) for (i, t, _), f in zip(films, flags, strict=True)]
    return "".join(f"{row}\n" for row in rows).encode("latin-1")


def official_100k(folder: Path) -> Path:
    folder.mkdir()
    (folder / "u.data").write_text("".join("\t".join(map(str, r)) + "\n" for r in RATINGS))
    (folder / "u.user").write_text("".join("|".join(map(str, p)) + "\n" for p in PEOPLE))
    (folder / "u.item").write_bytes(u_item(FILMS))
    return folder


def repackaged_100k(folder: Path) -> Path:
    folder.mkdir()
    inter = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    user = "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    item = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    titles = {1: "Toy Story\t1995", 2: "Carmen, La (1983) (V)", 3: "unkonwn\tunkonwn", 4: "Misérables, Les\t1995"}
    films = [(i, titles[i], " ".join(g)) for i, _, g in FILMS if i != 2]
    (folder / "ml-100k.inter").write_text(inter + "".join("\t".join(map(str, r)) + "\n" for r in RATINGS if r[1] != 2))
    (folder / "ml-100k.user").write_text(user + "".join("\t".join(map(str, p)) + "\n" for p in PEOPLE))
    (folder / "ml-100k.item").write_text(item + "".join(f"{i}\t{t}\t{g}\n" for i, t, g in films), encoding="utf-8")
    return folder


def test_movielens_100k_from_its_own_files(tmp_path: Path) -> None:
    data = load_dataset("ml-100k", official_100k(tmp_path / "o"))
    assert data.titles == ["Toy Story (1995)", "Carmen, La (1983) (V)", "unknown", "Misérables, Les (1995)"]
    assert data.items["year"].to_list() == [1995, 1983, None, 1995]
    assert data.items["genres"].to_list() == [genres for _, _, genres in FILMS]
    assert data.users.row(1) == ("2", 53, "F", "other", "T8H1N")
    assert data.history(1).tolist() == [1, 0, 2]  # the tie at 100 keeps the order of the file


def test_movielens_100k_is_the_same_from_both_sources(tmp_path: Path) -> None:
    films = [f for f in FILMS if f[0] != 2]
    folder = official_100k(tmp_path / "o")
    (folder / "u.item").write_bytes(u_item(films))
    (folder / "u.data").write_text("".join("\t".join(map(str, r)) + "\n" for r in RATINGS if r[1] != 2))
    official, repackaged = load_dataset("ml-100k", folder), load_dataset("ml-100k", repackaged_100k(tmp_path / "r"))
    assert repackaged.items.equals(official.items.select(repackaged.items.columns))
    assert repackaged.hash == official.hash


def test_movielens_1m_from_its_own_files_and_from_parquet(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("".join("::".join(map(str, r)) + "\n" for r in RATINGS))
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    (tmp_path / "movies.dat").write_bytes("".join(f"{i}::{t}::{'|'.join(g)}\n" for i, t, g in FILMS).encode("latin-1"))
    data = load_dataset("ml-1m", tmp_path)
    assert data.titles[3] == "Misérables, Les (1995)"
    assert data.items["genres"].to_list()[0] == ["Animation", "Children's"]
    assert data.history(1).tolist() == [1, 0, 2]
    columns = ["user_id", "movie_id", "rating", "timestamp"]
    pl.DataFrame(RATINGS, schema=columns, orient="row").write_parquet(tmp_path / "ratings.parquet")
    assert load_dataset("ml-1m", tmp_path / "ratings.parquet").hash == data.hash


def test_movielens_1m_parquet_keeps_the_given_order_where_times_are_missing(tmp_path: Path) -> None:
    test_movielens_1m_from_its_own_files_and_from_parquet(tmp_path)
    frame = pl.DataFrame({"user_id": [1, 1, 1, 1], "movie_id": [1, 2, 3, 4], "rating": [5] * 4, "order": [2, 0, -1, 1]})
    frame.write_parquet(tmp_path / "ratings.parquet")
    data = load_dataset("ml-1m", tmp_path / "ratings.parquet")
    assert data.history(0).tolist() == [2, 1, 3, 0]
    assert data.notes == ("1 ratings have no known place in their user's order; those without a time come first.",)


def llara(folder: Path, **changes: object) -> Path:
    def row(user: int, sequence: list[int], at: int) -> dict[str, object]:
        window = [[i, 4] for i in sequence[max(0, at - 10) : at]]
        padded = window + [[1682, 0]] * (10 - len(window))
        return {"user_id": user, "seq": json.dumps(padded), "len_seq": max(1, at), "next": f"[{sequence[at]}, 4]"}

    users = {7: [0, 1, 2, 3, 0], 5: [3, 2, 1, 0]}
    parts = {
        "train_rebuilt": [row(u, s, at) for u, s in users.items() for at in range(len(s))],
        "val": [row(9, [0, 1, 2, 3], 3)],
        "test": [row(8, [3, 1, 2, 0], 3), row(6, [1, 2, 3], 2)],
    }
    folder.mkdir()
    for name, rows in {**parts, **changes}.items():
        pl.DataFrame(rows).write_parquet(folder / f"{name}.parquet")
    (folder / "u.item").write_bytes(u_item(FILMS))
    return folder


def test_the_released_llara_split_is_rebuilt_from_its_windows(tmp_path: Path) -> None:
    split = load_split("llara-movielens", llara(tmp_path / "l"))
    assert split.name == "llara-released"
    assert [s.tolist() for s in split.sequences] == [[0, 1, 2, 3, 0], [3, 2, 1, 0]]
    assert [(c.query.history, c.positive) for c in split.valid] == [((0, 1, 2), 3)]
    assert [(c.query.history, c.positive) for c in split.test] == [((3, 1, 2), 0)]  # user 6 saw only two items
    assert split.counts()["train_examples"] == 3
    assert split.dataset.users["user_id"].to_list() == ["7", "5", "9", "8", "6"]
    assert load_dataset("llara-movielens", tmp_path / "l").hash == split.dataset.hash


def test_the_released_llara_split_takes_times_from_movielens_itself(tmp_path: Path) -> None:
    seen = {7: [2, 0, 1, 3], 5: [3, 2, 1, 0], 9: [1, 0, 2, 3], 8: [2, 3, 1, 0], 6: [1, 2, 3]}  # user 6 rated 0 too low
    rows = [(u, i + 1, 4.0, 100 + 10 * (at >= 3)) for u, items in seen.items() for at, i in enumerate(items)]
    rows.append((6, 1, 1.0, 90))
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "time"], orient="row")
    plain = load_split("llara-movielens", llara(tmp_path / "l"))
    timed = load_split("llara-movielens", tmp_path / "l", times=Dataset.from_frames(frame, name="ml"))
    assert [s.tolist() for s in timed.sequences] == [[2, 0, 0, 1, 3], [3, 2, 1, 0]]
    assert timed.train["time"].to_list() == [100, 100, 100, 100, 110, 100, 100, 100, 110]
    assert (timed.valid, timed.test) == (plain.valid, plain.test)
    assert timed.dataset.notes == ("Times, and the order of training users' ties, are those of ml.",)
    assert timed.hash != plain.hash
    other = frame.filter(~((pl.col("user_id") == 8) & (pl.col("item_id") == 3)))
    with pytest.raises(DataError, match="user 8 rated film 3 at a time ml does not know"):
        load_split("llara-movielens", tmp_path / "l", times=Dataset.from_frames(other, name="ml"))
    third = (pl.col("user_id") == 8) & (pl.col("item_id") == 4)
    late = frame.with_columns(time=pl.when(third).then(999).otherwise("time"))
    with pytest.raises(DataError, match="windows shown are not in the order of time that ml has"):
        load_split("llara-movielens", tmp_path / "l", times=Dataset.from_frames(late, name="ml"))


def test_llara_files_that_contradict_themselves_are_refused(tmp_path: Path) -> None:
    good = {"user_id": 9, "seq": "[[0, 4], [1, 4], [2, 4]]", "len_seq": 3, "next": "[3, 4]"}
    for number, (rows, message) in enumerate(
        [
            ([{**good, "user_id": 7}], "user 7 is in two parts"),
            ([good, good], "user 9 has 2 rows"),
            ([{**good, "next": "[3, 4"}], r"val.parquet:1: .* is not a list of"),
            ([{**good, "seq": "[[0.5, 4]]"}], r"val.parquet:1: "),
            ([{**good, "seq": "[[1683, 4]]"}], r"val.parquet:1: "),
            ([{k: v for k, v in good.items() if k != "next"}], "no column 'next'"),
        ]
    ):
        with pytest.raises(DataError, match=message):
            load_split("llara-movielens", llara(tmp_path / str(number), val=rows))
    torn = [{"user_id": 7, "seq": "[[1682, 0]]", "len_seq": 1, "next": "[0, 4]"}]
    torn.append({"user_id": 7, "seq": "[[3, 4]]", "len_seq": 1, "next": "[1, 4]"})
    with pytest.raises(DataError, match="window 2 of user 7 does not show"):
        load_split("llara-movielens", llara(tmp_path / "torn", train_rebuilt=torn))


def test_recbole_files_with_other_names(tmp_path: Path) -> None:
    (tmp_path / "beer.inter").write_text("who:token\tbeer:token\tscore:float\tx:float\nu\tb\t2.5\t0\nu\ta\t\t1\n")
    (tmp_path / "beer.item").write_text(
        'beer:token\tname:token_seq\tclass:token_seq\tabv:float\nb\t"Bock\tstrong dark\t6.5\n'
    )
    data = load_dataset("recbole", tmp_path, user="who", item="beer", rating="score")
    assert data.titles == ['"Bock', "a"]
    assert data.items.row(0) == ("b", '"Bock', ["strong", "dark"], 6.5)
    assert data.interactions["rating"].to_list() == [2.5, None]
    with pytest.raises(DataError, match=r"beer.inter:1: no column 'user_id'"):
        load_dataset("recbole", tmp_path)


WORD = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6)


@settings(max_examples=25)
@given(
    rows=st.lists(st.tuples(WORD, WORD, st.integers(1, 5), st.integers(0, 4_000_000_000)), min_size=1, max_size=10),
    title=st.lists(WORD, max_size=3).map(" ".join),
    genres=st.lists(WORD, min_size=1, max_size=3),
)
def test_exported_to_recbole_then_read_is_identical(
    tmp_path: Path, rows: list[tuple[object, ...]], title: str, genres: list[str]
) -> None:
    columns = ["user_id", "item_id", "rating", "time"]
    items = pl.DataFrame({"item_id": [rows[0][1]], "title": [title], "year": [1999], "genres": [genres]})
    data = Dataset.from_frames(pl.DataFrame(rows, schema=columns, orient="row"), items, name="out")
    back = load_dataset("recbole", recbole.export(data, Path(tempfile.mkdtemp(dir=tmp_path))))
    assert back.titles == data.titles
    assert back.items["item_id"].equals(data.items["item_id"])
    assert back.interactions.equals(data.interactions)
    assert back.items["genres"].to_list()[0] == genres
    assert back.items["year"].to_list()[0] == 1999


def test_tables_of_every_format_give_the_same_dataset(tmp_path: Path) -> None:
    frame = pl.DataFrame(RATINGS, schema=["reviewer", "asin", "rating", "time"], orient="row")
    items = pl.DataFrame(
        {"asin": ["4", "1"], "title": ['Say "hi", Tom', "Two\nlines"], "genres": ["a|b", ""], "price": [1.5, 2]}
    )
    frame.write_csv(tmp_path / "interactions.csv")
    items.write_csv(tmp_path / "items.csv")
    columns = {"user_id": "reviewer", "item_id": "asin"}
    data = load_dataset(tmp_path, columns=columns)
    assert data.titles == ['Say "hi", Tom', "Two\nlines", "3", "2"]
    assert data.items["genres"].to_list() == [["a", "b"], None, None, None]
    assert data.items["price"].to_list() == ["1.5", "2.0", None, None]
    for suffix in ("tsv", "jsonl", "parquet"):
        folder = tmp_path / suffix
        folder.mkdir()
        for name, table in (("interactions", frame), ("items", items)):
            file = folder / f"{name}.{suffix}"
            if suffix == "tsv":
                table.write_csv(file, separator="\t")
            elif suffix == "jsonl":
                table.write_ndjson(file)
            else:
                table.write_parquet(file)
        assert load_dataset(folder, columns=columns).hash == data.hash


def test_tables_in_other_units_and_orders(tmp_path: Path) -> None:
    file = tmp_path / "T.csv"
    file.write_text("user_id;item_id;time\nu;a;2020-01-01T00:00:10Z\nu;b;2020-01-01\nu;c;2020-01-01 00:00:05\n")
    data = load_dataset("table", file, delimiter=";", time="iso")
    assert data.interactions["time"].to_list() == [1_577_836_800, 1_577_836_805, 1_577_836_810]
    assert data.name == "t"
    file.write_text("user_id,item_id,time\nu,a,1577836800999\n")
    assert load_dataset(file, time="milliseconds").interactions["time"].to_list() == [1_577_836_800]
    file.write_text("user_id,item_id,step\nu,a,1\nv,a,0\nu,b,0\n")
    assert load_dataset(file, columns={"order": "step"}).history(1).tolist() == [1, 0]
    file.write_text("user_id,item_id,title\nu,a,x\n")
    users = tmp_path / "people.csv"
    users.write_text("user_id,age\nw,7\nu,\n")
    assert load_dataset(file, users=users).users.rows() == [("w", "7"), ("u", None)]


def test_one_table_may_say_what_its_items_are_called(tmp_path: Path) -> None:
    file = tmp_path / "ratings.CSV"
    file.write_text("user_id,item_id,name,genres\nu,a,Heat,Crime|Drama\nv,b,Ran,\nv,a,Heat (1995),Crime|Drama\n")
    data = load_dataset(file, columns={"title": "name"})
    assert data.titles == ["Heat", "Ran"]
    assert data.items["genres"].to_list() == [["Crime", "Drama"], None]
    assert data.notes == ("1 items have more than one title; the first one counts.",)
    items = tmp_path / "items.csv"
    items.write_text("item_id,name\na,Heat!\n")
    assert load_dataset(file, items=items, columns={"title": "name"}).titles == ["Heat!", "b"]


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("user_id;item_id\nu;a\n", {}, r"has one column only; is it separated by ';'\? then say so with delimiter"),
        ("user_id\titem_id\nu\ta\n", {}, r"separated by '\\t'"),
        ("user_id,item_id\nu,a\n", {"delimiter": ";"}, "separated by ','"),
        ("user_id,item_id\nu,a\n", {"delimiter": "ab"}, "table option delimiter: .* at most 1 character"),
        ("user_id,item_id\nu,a\n", {"encoding": "utf-99"}, "table option encoding: 'utf-99' is no encoding"),
        ("user_id,item_id\nu,a\n", {"encoding": "rot13"}, "is no encoding"),
        ("user_id,item_id\nu,a\n", {"columns": {"usr_id": "u"}}, "'usr_id' is not a column .* did you mean 'user_id'"),
        ("user_id,item_id,stars\nu,a,1\n", {"columns": {"rating": "star"}}, "no column 'star' for rating; .* 'stars'"),
        ("user_id,item_id\nu,a\n", {"columns": {"title": "name"}}, "no column 'name' for title"),
        ("user_id,item_id,rating\nu,a,nan\n", {}, "rating 'nan' is not a number in plain digits"),
    ],
)
def test_a_table_that_is_read_wrongly_says_which_option_to_give(
    tmp_path: Path, text: str, options: dict[str, Any], told: str
) -> None:
    file = tmp_path / "t.csv"
    file.write_text(text)
    with pytest.raises((DataError, ConfigError), match=told):
        load_dataset(file, **options)


def test_utf_16_is_recognised_and_read(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("user_id\titem_id\nu\ta\n", encoding="utf-16")
    with pytest.raises(DataError, match=r"t\.csv:1: .*UTF-16\? say which encoding"):
        load_dataset(file)
    assert load_dataset(file, encoding="utf-16", delimiter=r"\t").n_interactions == 1


def test_names_paths_and_options_that_do_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASTEMAKER_DATA", raising=False)
    with pytest.raises(UnknownNameError, match="did you mean 'ml-100k'"):
        load_dataset("ml-100")
    with pytest.raises(DataError, match=r"none.csv: there is nothing here"):
        load_dataset(tmp_path / "none.csv")
    with pytest.raises(DataError, match="nothing here"):
        load_dataset("ml-100k", tmp_path / "none")
    with pytest.raises(DataError, match="is no format that is recognised"):
        load_dataset(tmp_path)
    with pytest.raises(UsageError, match="cannot be fetched: say where"):
        load_dataset("table")
    with pytest.raises(UsageError, match=r"ready-made splits: .*llara-movielens"):
        load_split("ml-100k", tmp_path)
    file = tmp_path / "t.csv"
    file.write_text("user_id,item_id\nu,a\n")
    with pytest.raises(ConfigError, match="no option 'delimeter'; did you mean 'delimiter'"):
        load_dataset(file, delimeter=";")
    with pytest.raises(ConfigError, match="time"):
        load_dataset(file, time="hours")
    with pytest.raises(DataError, match=r"t.csv:1: no column 'asin' for item_id"):
        load_dataset(file, columns={"item_id": "asin"})


def test_a_named_dataset_is_found_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    official_100k(tmp_path / "ml-100k")
    monkeypatch.setenv("TASTEMAKER_DATA", str(tmp_path))
    data = load_dataset("ml-100k")
    assert data.n_interactions == 5
    data.save(tmp_path / "saved")
    assert load_dataset(tmp_path / "saved").hash == data.hash
    assert load_dataset(str(tmp_path / "ml-100k")).hash == data.hash


def test_what_only_later_objects_say_is_read_too(tmp_path: Path) -> None:
    rows = [
        {"user_id": "u", "item_id": "a"},
        {"user_id": "u", "item_id": "b", "rating": 5, "time": 100},
        {"user_id": "u", "item_id": "c", "rating": 1, "time": 50},
    ]
    (tmp_path / "interactions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = [{"item_id": "a", "title": "A"}, {"item_id": "b", "title": "B", "genres": ["Drama"], "year": 1999}]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in items))
    data = load_dataset(tmp_path)
    assert sorted(data.interactions.select("time", "rating").rows(), key=str) == [(100, 5.0), (50, 1.0), (None, None)]
    assert data.items.select("genres", "year").rows()[:2] == [(None, None), (["Drama"], 1999)]


def test_whole_ids_that_became_floats_are_the_ids_they_were(tmp_path: Path) -> None:
    rows = {"user_id": [1.0, 1.0, 2.0, None], "item_id": [7.0, 8.0, 1e15, 7.0], "rating": [3.5, 4.0, 5.0, 1.0]}
    pl.DataFrame(rows).write_parquet(tmp_path / "interactions.parquet")
    items = {"item_id": [7, 8], "title": ["Alien", "Heat"], "price": [1.5, 2.0]}
    pl.DataFrame(items).write_parquet(tmp_path / "items.parquet")
    data = load_dataset(tmp_path, on_bad="skip")
    assert data.items["item_id"].to_list() == ["7", "8", "1000000000000000"]
    assert list(data.titles)[:2] == ["Alien", "Heat"]
    assert data.items["price"].to_list()[:2] == ["1.5", "2.0"]
    assert data.users["user_id"].to_list() == ["1", "2"]
    assert data.interactions["rating"].to_list() == [3.5, 4.0, 5.0]


def test_a_column_may_be_named_for_another_of_ours(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,title\nu,Alien\nu,Heat\n")
    data = load_dataset(tmp_path / "a.csv", columns={"item_id": "title"})
    assert data.items["item_id"].to_list() == ["Alien", "Heat"]


def test_an_option_that_a_reader_does_not_have_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ml-100k has no option 'min_rating'"):
        load_dataset("ml-100k", official_100k(tmp_path / "a"), min_rating=4)
    with pytest.raises(ConfigError, match="ml-100k has no option 'name'"):
        load_dataset("ml-100k", tmp_path / "a", name="x")
