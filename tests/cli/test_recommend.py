"""tastemaker recommend and explain: for known users, for histories, and clear about everything else."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from shell import tastemaker

from tastemaker.errors import LanguageModelError
from tastemaker.types import Query


def test_known_users_get_lists(tuned: Path) -> None:
    told = tastemaker("recommend", tuned, "--user", "u0", "--user", "u3", "-n", 4, "--json").json
    assert (told["degraded"], told["repairs"]) == (False, 0)
    found = told["recommendations"]
    assert [row["user_id"] for row in found] == ["u0"] * 4 + ["u3"] * 4
    assert found[0] == {
        "user_id": "u0",
        "item_id": "f8",
        "rank": 1,
        "score": found[0]["score"],
        "title": "Film 8 (1998)",
    }
    done = tastemaker("recommend", tuned, "--user", "u0", "-n", 4).ok()
    assert "Film 8 (1998)" in done.out
    assert "user u0" in done.out


def test_somebody_new_comes_with_a_history(tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = tmp_path / "history.txt"
    history.write_text("f11\n\n f12 \n")
    told = tastemaker("recommend", tuned, "--history", history, "-n", 1, "--json").json
    assert told["recommendations"][0]["item_id"] == "f13"
    monkeypatch.setattr("sys.stdin", io.StringIO("f4\nf5\n"))
    told = tastemaker("recommend", tuned, "--history", "-", "-n", 1, "--json").json
    assert told["recommendations"][0]["item_id"] == "f6"


def test_candidates_and_seen_items(tuned: Path, tmp_path: Path) -> None:
    pool = tmp_path / "pool.txt"
    pool.write_text("f0\nf20\nf21\n")
    command = ("recommend", tuned, "--user", "u0", "--candidates", pool, "--json")
    assert {row["item_id"] for row in tastemaker(*command).json["recommendations"]} == {"f20", "f21"}
    assert len(tastemaker(*command, "--with-seen").json["recommendations"]) == 3
    assert "there were not 10 items to recommend; a list has 2" in tastemaker(*command).ok().err
    assert tastemaker(*command, "-n", 2).ok().err == ""
    pool.write_text("\n")
    tastemaker(*command).fails(2, "pool.txt: holds no ids")
    tastemaker("recommend", tuned, "--user", "u0", "--history", pool).fails(2, "say for whom", "not both")


def test_explain_tells_what_it_rests_on(tuned: Path) -> None:
    told = tastemaker("explain", tuned, "--user", "u0", "--item", "f8", "--json").json
    assert told["evidence"][0]["item_id"] == "f7"
    done = tastemaker("explain", tuned, "--user", "u0", "--item", "f8").ok()
    assert done.out.startswith('"Film 7 (1997)" in the history speaks most for "Film 8 (1998)"; they share the 1990s.')


def test_nothing_is_tabled_where_nothing_speaks(tuned: Path, tmp_path: Path) -> None:
    (tmp_path / "history.txt").write_text("")
    done = tastemaker("explain", tuned, "--history", tmp_path / "history.txt", "--item", "f8").ok()
    assert done.out.startswith("There is no history")
    assert "effect" not in done.out


def test_a_language_model_that_fails_is_told(tuned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tastemaker import methods

    def fails(self: Any, queries: Sequence[Query], **options: Any) -> Any:
        raise LanguageModelError("gone")

    monkeypatch.setattr(methods.registry.get("next-film"), "score", fails)
    done = tastemaker("recommend", tuned, "--user", "u0", "--json")
    assert done.json["degraded"] is True
    assert "language model did not answer" in done.err
    assert "language model did not answer" in tastemaker("explain", tuned, "--user", "u0", "--item", "f8").ok().err
    tastemaker("evaluate", tuned).fails(1, "gone")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["RUN", "--user", "nobody"], "no user with id 'nobody'"),
        (["RUN"], "say for whom"),
        (["RUN", "--user", "u0", "--history", "FILE"], "say for whom"),
        (["RUN", "--history", "nowhere.txt"], "nowhere.txt"),
        (["RUN", "--history", "FILE"], "no item with id 'f99'"),
        (["RUN", "--user", "u0", "--candidates", "FILE"], "no item with id 'f99'"),
        (["runs/nowhere", "--user", "u0"], "no such directory"),
        (["DATA", "--user", "u0"], "not saved by tastemaker"),
    ],
)
def test_bad_questions_are_one_line(
    arguments: list[str], told: str, tuned: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ids.txt").write_text("f1\nf99\n")
    given = {"RUN": tuned, "DATA": data, "FILE": "ids.txt"}
    tastemaker("recommend", *(given.get(a, a) for a in arguments)).fails(2, told)


def test_bad_explanations_are_one_line(tuned: Path) -> None:
    tastemaker("explain", tuned, "--user", "u0", "--item", "f99").fails(2, "no item with id 'f99'")
    tastemaker("explain", tuned, "--item", "f9").fails(2, "say for whom")
    tastemaker("explain", tuned, "--user", "u0").fails(2, "--item")


def test_a_history_that_is_no_text_is_told(tuned: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    tastemaker("recommend", tuned, "--history", tmp_path / "photo.jpg").fails(2, "not UTF-8")


def test_a_damaged_run_is_told(tuned: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tuned, copy)
    weights = copy / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    tastemaker("recommend", copy, "--user", "u0").fails(2, "model.safetensors", "damaged")
    (copy / "model" / "items.parquet").unlink()
    tastemaker("explain", copy, "--user", "u0", "--item", "f9").fails(2, "items.parquet is missing")


def test_ids_that_nobody_knows_may_be_left_out_and_are_told(tuned: Path, tmp_path: Path) -> None:
    history = tmp_path / "history.txt"
    history.write_text("f11\nnew\nf12\n")
    command = ("recommend", tuned, "--history", history, "-n", 3)
    tastemaker(*command).fails(2, "no item with id 'new'")
    done = tastemaker(*command, "--unknown", "skip", "--json")
    assert done.err == "warning: 1 id is not known and was left out: 'new'\n"
    assert done.json["skipped"] == ["new"]
    history.write_text("f11\nf12\n")
    told = tastemaker(*command, "--json").json
    assert told["skipped"] == []
    assert done.json["recommendations"] == told["recommendations"]
    done = tastemaker("recommend", tuned, "--user", "nobody", "--unknown", "skip").ok()
    assert (done.out, done.err) == ("", "warning: 1 id is not known and was left out: 'nobody'\n")
    tastemaker("recommend", tuned, "--user", "u0", "--unknown", "ignore").fails(
        2, "--unknown is error or skip, not ignore"
    )
