"""tastemaker data: files in, checked datasets, splits and RecBole files out."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from films import N_FILMS, N_USERS, films
from shell import tastemaker

from tastemaker import Dataset, artifacts
from tastemaker.cli._output import show_table


def test_list_says_what_is_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ml-1m").mkdir()
    monkeypatch.setenv("TASTEMAKER_DATA", str(tmp_path))
    rows = {row["name"]: row for row in tastemaker("data", "list", "--json").json}
    assert rows["ml-1m"]["here"] is True
    assert rows["ml-100k"]["here"] is False
    listed = {
        line.split()[0]: line.strip() for line in tastemaker("data", "list").ok().out.splitlines() if line.strip()
    }
    assert listed["ml-1m"].endswith("here")
    assert listed["ml-100k"].endswith("can be fetched")
    assert listed["table"].endswith("yours")


def test_import_keeps_a_checked_dataset(data: Path, tmp_path: Path) -> None:
    told = tastemaker("data", "import", data, "--out", tmp_path / "mine", "-o", "name=mine", "--json").json
    assert (told["users"], told["items"], told["name"]) == (N_USERS, N_FILMS, "mine")
    assert Dataset.load(tmp_path / "mine").hash == told["hash"] == films().hash
    again = tastemaker("data", "describe", tmp_path / "mine", "--json").json
    assert again["hash"] == told["hash"]


def test_import_maps_columns_and_counts_what_it_leaves_out(tmp_path: Path) -> None:
    table = tmp_path / "books.csv"
    table.write_text("reader,isbn\n" + "".join(f"r{i % 3},b{i}\n" for i in range(9)) + ",b9\n")
    columns = ("-o", "columns.user_id=reader", "-o", "columns.item_id=isbn")
    tastemaker("data", "import", table, "--out", tmp_path / "x", *columns).fails(2, "books.csv:11")
    assert not (tmp_path / "x").exists()
    done = tastemaker("data", "import", table, "--out", tmp_path / "x", *columns, "-o", "on_bad=skip").ok()
    assert "Skipped 1 bad rows: books.csv:11." in done.err
    assert "interactions 9" in " ".join(done.out.split())


def test_describe_tells_the_dataset_and_the_split(data: Path) -> None:
    told = tastemaker("data", "describe", data, "--split", "leave-one-out", "-o", "k_core=0", "--json").json
    assert told["interactions"] == N_USERS * 8
    assert told["split"]["counts"]["test_cases"] == N_USERS
    done = tastemaker("data", "describe", data, "--split", "leave-one-out", "-o", "k_core=0").ok()
    assert "history length" in done.out
    assert "test_cases: 12" in done.out
    assert max(map(len, done.out.splitlines())) <= 200


def test_split_writes_ids(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "split"
    options = ("--split", "leave-one-out", "--out", out, "-o", "k_core=0")
    told = tastemaker("data", "split", data, *options, "--json").json
    kept = artifacts.load(out, "split")
    assert kept.json("split")["hash"] == told["hash"]
    assert kept.frame("train").height == told["train_interactions"] == N_USERS * 6
    first = kept.frame("test").row(0, named=True)
    assert first["user_id"] == "u0"
    assert first["history"] == [f"f{i}" for i in range(7)]
    assert first["item_id"] == "f7"
    assert tastemaker("data", "split", data, *options).ok().err.endswith(f"wrote {out}\n")


def test_export_can_be_imported_again(data: Path, tmp_path: Path) -> None:
    told = tastemaker("data", "export", data, "--out", tmp_path, "--json").json
    again = tastemaker("data", "import", told["path"], "--out", tmp_path / "again", "--json").json
    assert again["interactions"] == told["interactions"]
    assert Dataset.load(tmp_path / "again").titles == films().titles


def test_what_was_saved_is_not_replaced_by_something_else(data: Path, counted: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    tastemaker("data", "import", data, "--out", mine).ok()
    tastemaker("data", "split", mine, "--split", "leave-one-out", "-o", "k_core=0", "--out", mine).fails(
        2, "holds a 'dataset'"
    )
    assert Dataset.load(mine).hash == films().hash
    tastemaker("data", "import", data, "--out", counted / "model").fails(2, "holds a 'recommender'")
    tastemaker("data", "import", data, "--out", mine).ok()


def test_export_spares_files_that_are_not_its_own(tmp_path: Path) -> None:
    inter = tmp_path / "books" / "books.inter"
    inter.parent.mkdir()
    rows = "".join(f"u{i % 3}\tb{i}\tso good\n" for i in range(9))
    inter.write_text("user_id:token\titem_id:token\treview:token_seq\n" + rows)
    before = inter.read_bytes()
    tastemaker("data", "export", inter.parent, "--out", tmp_path).fails(2, "books.inter", "is there already")
    assert [path.name for path in inter.parent.iterdir()] == ["books.inter"]
    assert inter.read_bytes() == before
    for _ in range(2):
        tastemaker("data", "export", inter.parent, "--out", tmp_path / "elsewhere").ok()


def test_fetch_tells_where_the_files_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ml-1m").mkdir()
    monkeypatch.setenv("TASTEMAKER_DATA", str(tmp_path))
    assert tastemaker("data", "fetch", "ml-1m").ok().out == f"{tmp_path / 'ml-1m'}\n"
    assert json.loads(tastemaker("data", "fetch", "ml-1m", "--json").out)["path"] == str(tmp_path / "ml-1m")


def test_a_hostile_title_is_text_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[tuple[Any, ...]] = [(1, "[bold red]Heat[/]\x1b[2J\x07"), (2, "Alien\nuser: x")]
    monkeypatch.setenv("COLUMNS", "80")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        show_table(("n", "title"), rows)
    assert "[bold red]Heat[/][2J" in out.getvalue()
    assert "Alien user: x" in out.getvalue()
    assert "\x1b" not in out.getvalue()
    assert "\x07" not in out.getvalue()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["data", "describe", "ml-100m"], "did you mean 'ml-100k'"),
        (["data", "describe", "nowhere.csv"], "nowhere.csv"),
        (["data", "fetch", "ml-100m"], "did you mean"),
        (["data", "fetch", "table"], "cannot be fetched"),
        (["data", "fetch", "ml-100k", "--from", "nowhere.zip"], "nowhere.zip"),
        (["data", "import", "nowhere.csv", "--out", "x"], "nowhere.csv"),
        (["data", "import", "DATA", "--out", "x", "-o", "colums.user_id=u"], "did you mean 'columns'"),
        (["data", "import", "DATA", "--out", "x", "-o", "columns.item_id=asin"], "no column 'asin' for item_id"),
        (["data", "import", "DATA", "--out", "x", "-o", "name"], "setting=value"),
        (["data", "split", "DATA", "--out", "x", "--split", "leave-one"], "did you mean 'leave-one-out'"),
        (["data", "split", "DATA", "--out", "x", "--split", "leave-one-out", "-o", "kcore=2"], "did you mean 'k_core'"),
        (["data", "split", "DATA", "--out", "x", "--split", "leave-one-out", "-o", "k_core=99"], "lower k_core"),
        (["data", "describe", "DATA", "--split", "leave-one-out", "-o", "min_rating=3"], "no ratings"),
        (["data", "describe", "DATA", "-o", "k_core=3"], "--split"),
        (["data", "describe", "DATA", "--split", "leave-one-out", "-o", "k_core=99"], "no 99-core; lower k_core"),
        (["data", "import", "DATA", "--out", "x", "-o", "delimiter=,"], "'delimiter=\",\"'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str], told: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tastemaker(*(str(data) if a == "DATA" else a for a in arguments)).fails(2, told)
    assert not [p for p in tmp_path.iterdir() if p.name != "cache"]


def test_a_bad_row_is_told_by_file_and_line(data: Path, tmp_path: Path) -> None:
    table = tmp_path / "ratings.csv"
    pl.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"], "rating": ["5", "five"]}).write_csv(table)
    tastemaker("data", "import", table, "--out", tmp_path / "x").fails(2, "ratings.csv:3")


def test_without_a_network_fetching_says_what_to_do_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    from tastemaker.data import _http, _pip
    from tastemaker.errors import SourceError

    def offline(*arguments: Any) -> None:
        raise SourceError("its host cannot be found")

    monkeypatch.setattr(_http, "download", offline)
    monkeypatch.setattr(_pip, "download", offline)
    tastemaker("data", "fetch", "ml-100k").fails(1, "its host cannot be found", "By hand", "--from PATH")
    tastemaker("train", "popularity", "--out", "runs/x").fails(1, "could not be fetched")
    assert not Path("runs/x").exists()
