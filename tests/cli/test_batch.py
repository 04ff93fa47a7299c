"""tastemaker batch: lists in a file, remarks and the rate on stderr, and a command that goes on when repeated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from shell import tastemaker

from tastemaker.recommend import Recommender, batch


def test_everybody_gets_a_list(tuned: Path, tmp_path: Path) -> None:
    out = tmp_path / "deeper" / "lists.csv"
    done = tastemaker("batch", tuned, "--users", "all", "--out", out, "-k", 4).ok()
    assert done.out == f"{out}\n"
    assert done.err.startswith("12 lists; ")
    assert done.err.endswith(" lists a second\n")
    found = pl.read_csv(out)
    assert found.columns == ["user_id", "rank", "item_id", "title", "score"]
    assert found.height == 48
    told = tastemaker("recommend", tuned, "--user", "u0", "-n", 4, "--json").json["recommendations"]
    assert found.head(4).to_dicts() == [{name: row[name] for name in found.columns} for row in told]


def test_the_outcome_as_json(tuned: Path, tmp_path: Path) -> None:
    out = tmp_path / "lists.jsonl"
    told = tastemaker("batch", tuned, "--out", out, "-n", 25, "--json").json
    assert (told["path"], told["users"], told["short"], told["resumed"]) == (str(out), 12, 12, 0)
    assert told["lists_per_second"] == pytest.approx(12 / told["seconds"])
    assert json.loads(out.read_text().splitlines()[0])["item_id"] == "f8"


def test_listed_users_and_those_nobody_knows(tuned: Path, tmp_path: Path) -> None:
    listed, out = tmp_path / "users.txt", tmp_path / "lists.parquet"
    listed.write_text("u3\nu99\nu1\n")
    command = ("batch", tuned, "--users", listed, "--out", out)
    tastemaker(*command).fails(2, "no user with id 'u99'")
    done = tastemaker(*command, "--unknown", "skip").ok()
    assert "warning: 1 id is not known and was left out: 'u99'" in done.err
    assert pl.read_parquet(out)["user_id"].unique(maintain_order=True).to_list() == ["u3", "u1"]
    assert tastemaker(*command, "--unknown", "skip", "--overwrite", "--json").json["skipped"] == ["u99"]
    listed.write_text("\n")
    tastemaker(*command).fails(2, "users.txt: holds no ids; --users all makes lists for everybody")
    tastemaker(*command, "--unknown", "ignore").fails(2)


def test_only_candidates_and_seen_items_too(tuned: Path, tmp_path: Path) -> None:
    (tmp_path / "pool.txt").write_text("f0\nf20\n")
    out = tmp_path / "lists.parquet"
    command = ("batch", tuned, "--out", out, "--candidates", tmp_path / "pool.txt", "--overwrite")
    done = tastemaker(*command).ok()
    assert "note: lists of fewer than 10 items, for want of more: 12" in done.err
    assert pl.read_parquet(out).filter(user_id="u0")["item_id"].to_list() == ["f20"]
    tastemaker(*command, "--with-seen").ok()
    assert sorted(pl.read_parquet(out).filter(user_id="u0")["item_id"]) == ["f0", "f20"]


def test_reasons_stand_beside(counted: Path, tmp_path: Path) -> None:
    tastemaker("batch", counted, "--out", tmp_path / "lists.csv", "-k", 1, "--reasons").ok()
    assert "in the history speak" in pl.read_csv(tmp_path / "lists.csv")["reason"][0]


def test_interrupted_it_says_how_to_go_on(counted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "_USERS", 5)
    whole, left = Recommender.recommend, [3]

    def stopping(self: Recommender, *args: Any, **options: Any) -> pl.DataFrame:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return whole(self, *args, **options)

    monkeypatch.setattr(Recommender, "recommend", stopping)
    command = ("batch", counted, "--out", tmp_path / "lists.csv")
    tastemaker(*command).fails(130, "the same command goes on", "lists.csv.blocks")
    done = tastemaker(*command).ok()
    assert "12 lists, 10 of them from before; " in done.err
    assert pl.read_csv(tmp_path / "lists.csv").height == 120
    left[0] = 1
    done = tastemaker("batch", counted, "--out", tmp_path / "more.csv")
    assert (done.code, done.err) == (130, "interrupted\n"), "there is nothing to go on from"


def test_formulas_are_told(counted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Recommender.recommend
    formula = pl.lit("=1+1").alias("title")
    monkeypatch.setattr(
        Recommender, "recommend", lambda *args, **options: whole(*args, **options).with_columns(formula)
    )
    done = tastemaker("batch", counted, "--out", tmp_path / "lists.csv", "-k", 1).ok()
    assert "for formulas, now with a ' before them: 12" in done.err
    assert pl.read_csv(tmp_path / "lists.csv")["title"].unique().to_list() == ["'=1+1"]


def test_what_cannot_be_is_told_before_any_work(tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lists.csv").write_text("mine")
    monkeypatch.setattr(Recommender, "from_pretrained", None)
    tastemaker("batch", tuned, "--out", tmp_path / "lists.csv").fails(2, "is there already", "--overwrite")
    tastemaker("batch", tuned, "--out", tmp_path / "lists.xlsx").fails(2, ".parquet or .csv or .jsonl")
    tastemaker("batch", tuned, "--out", tmp_path / "x.csv", "--users", tmp_path / "no.txt").fails(2, "no.txt")
    assert (tmp_path / "lists.csv").read_text() == "mine"
