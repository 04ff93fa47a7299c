"""tastemaker doctor: the extras of this installation, and with --data what is wrong with somebody's own files."""

from __future__ import annotations

import importlib.metadata
import shlex
import tomllib
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from shell import tastemaker

from tastemaker.cli import _checks
from tastemaker.data import Dataset

ROWS = "".join(f"u{user};i{place};{place};2022-01-0{place}\n" for user in range(3) for place in range(1, 6))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A table that must be told how it is written, with a bad row and an item that has no title."""
    file = tmp_path / "my shop.dat"
    file.write_text(f"customer;sku;rating;time\n{ROWS}u1;i\x1b[2J;x;2022-01-09\n", encoding="utf-8")
    return file


@pytest.fixture
def items(tmp_path: Path) -> Path:
    file = tmp_path / "items.csv"
    file.write_text("sku;title\n" + "".join(f"i{n};Film {n}\n" for n in range(1, 5)), encoding="utf-8")
    return file


def test_data_is_looked_through_in_plain_lines(shop: Path, items: Path) -> None:
    done = tastemaker("doctor", "--data", shop, "--items", items)
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[:2] == ["my shop.dat: 15 interactions, 3 users, 5 items", "wrong: 3, odd: 3"]
    assert "odd user_id: 'customer' is read as user_id" in lines
    assert "    say -o time=iso" in lines
    unknown = "odd item_id: rows of 1 items that no table of items has: 3"
    assert f"{unknown} (my shop.dat:6, my shop.dat:11, my shop.dat:16)" in lines
    assert "\x1b" not in done.out
    assert "python" not in done.out, "the machine is looked at without --data"


def test_the_command_that_is_told_reads_the_file(shop: Path, items: Path, tmp_path: Path) -> None:
    lines = tastemaker("doctor", "--data", shop, "--items", items).out.splitlines()
    _, verb, *arguments = shlex.split(lines[-1].partition("read by: ")[2])
    assert arguments[-2:] == ["-o", f"items={items}"]
    given = [tmp_path / "kept" if part == "DIR" else part for part in arguments]
    tastemaker(verb, *given).fails(2, "my shop.dat:17", "is not an id")
    tastemaker(verb, *given, "-o", "on_bad=skip").ok()
    told = ["-o", "delimiter=;", "-o", "columns.user_id=customer", "-o", "columns.item_id=sku", "-o", "time=iso"]
    left = tastemaker("doctor", "--data", shop, "--items", items, *told)
    assert left.code == 1
    assert left.out.splitlines()[1] == "wrong: 1, odd: 1"
    assert "read by" not in left.out


def test_ids_cannot_turn_the_terminal_round(tmp_path: Path) -> None:
    rows = pl.DataFrame({"user_id": ["u\u202e"] * 3, "item_id": ["a", "b", "c"], "time": [1, 2, 3]})
    Dataset.from_frames(rows, name="turned\u202e").save(tmp_path / "turned")
    out = tastemaker("doctor", "--data", tmp_path / "turned").ok().out
    assert "odd time: rows of early 1970: 3 (user u item a" in out
    assert "\u202e" not in out


def test_machines_are_told_in_json(shop: Path, items: Path) -> None:
    done = tastemaker("doctor", "--data", shop, "--items", items, "--json")
    assert done.code == 1
    shop.write_text(f"customer;sku;rating;time\n{ROWS}", encoding="utf-8")
    told = ["-o", "delimiter=;", "-o", "columns.user_id=customer", "-o", "columns.item_id=sku", "-o", "time=iso"]
    found = tastemaker("doctor", "--data", shop, "--items", items, *told, "--json").json
    (only,) = found.pop("findings")
    assert found == {"good": True, "name": "my shop.dat", "interactions": 15, "users": 3, "items": 5, "options": {}}
    assert {"about": "item_id", "state": "odd", "count": 3}.items() <= only.items()
    assert only["first"] == ["my shop.dat:6", "my shop.dat:11", "my shop.dat:16"]


def test_good_data_leaves_with_0_and_questions_about_nothing_with_2(data: Path, tmp_path: Path) -> None:
    assert "wrong: 0" in tastemaker("doctor", "--data", data).ok().out
    tastemaker("doctor", "--data", tmp_path / "no.csv").fails(2, "there is nothing here")
    tastemaker("doctor", "--data", "ml-100").fails(2, "did you mean 'ml-100k'?")
    tastemaker("doctor", "--data", data, "-o", "delimeter=;").fails(2, "did you mean 'delimiter'?")
    tastemaker("doctor", "--items", tmp_path).fails(2, "--data")


def extras() -> dict[str, dict[str, str]]:
    rows = tastemaker("doctor", "--json").json
    return {row["name"].removeprefix("extra "): row for row in rows if row["name"].startswith("extra ")}


def test_every_extra_is_there_or_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checks, "_is_installed", lambda name: name not in ("fastapi", "uvicorn"))
    told = extras()
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert told.keys() == project["optional-dependencies"].keys()
    assert told["serve"]["state"] == "absent"
    assert told["serve"]["told"] == "not installed: fastapi, uvicorn"
    assert told["serve"]["advice"] == "if you want it: pip install 'tastemaker[serve]'"
    assert told["postgres"] == {"name": "extra postgres", "state": "ok", "told": "psycopg", "advice": ""}
    assert "pgserver" not in told["dev"]["told"], "it is for some machines only"


def test_a_source_tree_that_is_not_installed_has_no_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "metadata", unknown)
    assert extras() == {}
