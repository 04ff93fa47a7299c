"""tastemaker evaluate and compare: fair tables, kept results, nothing judged on what it has seen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from shell import tastemaker

PROTOCOL = ("--protocol", "leave-one-out-20", "-o", "n=5", "-o", "draws=3")


def rows(told: dict[str, list[dict[str, object]]]) -> dict[object, object]:
    return {row["system"]: row["kind"] for row in told["rows"]}


def test_a_run_is_judged_beside_baselines_and_its_retriever(tuned: Path) -> None:
    told = tastemaker("evaluate", tuned, *PROTOCOL, "--json").json
    expected = {"popularity": "trivial", "cooccurrence": "trivial", "tuned": "llm"}
    assert rows(told) == expected
    assert told["focus"] == "tuned"
    assert {pair["b"] for pair in told["paired"]} == {"popularity", "cooccurrence"}
    assert next(row for row in told["rows"] if row["system"] == "tuned")["metrics"]["hr@1"] == 1.0
    assert told["n"] == 12
    assert told["command"].startswith(f"tastemaker evaluate {tuned} --protocol leave-one-out-20")


def test_a_table_for_people_has_every_row(tuned: Path) -> None:
    done = tastemaker("evaluate", tuned, *PROTOCOL).ok()
    for name in ("popularity", "cooccurrence", "tuned"):
        assert name in done.out
    assert "Paired" in done.out


def test_models_are_fitted_on_the_spot(data: Path) -> None:
    command = ("evaluate", "gru4rec", "--data", data, "--split", "leave-one-out", "-o", "split.k_core=0", *PROTOCOL)
    settings = ("-o", "gru4rec.epochs=1", "-o", "gru4rec.embedding_size=8", "-o", "cooccurrence.window=2")
    told = tastemaker(*command, *settings, "--no-baselines", "--json").json
    assert rows(told) == {"gru4rec": "collaborative"}
    told = tastemaker(*command, *settings, "--json").json
    assert rows(told) == {"popularity": "trivial", "cooccurrence": "trivial", "gru4rec": "collaborative"}


def test_the_whole_catalogue_is_ranked_as_it_is_served(tuned: Path) -> None:
    told = tastemaker("evaluate", tuned, "--protocol", "leave-one-out", "--json").json
    assert next(row for row in told["rows"] if row["system"] == "tuned")["metrics"]["ndcg@10"] == 1.0
    assert told["metrics"][-2:] == ["coverage@10", "novelty@10"]
    for row in told["rows"]:
        assert 0 < row["metrics"]["coverage@10"] <= 1
        assert row["metrics"]["novelty@10"] > 0


def test_what_the_split_gives_away_is_told(tuned: Path) -> None:
    told = tastemaker("evaluate", tuned, *PROTOCOL, "--json").json["remarks"]
    (late,) = (remark for remark in told if "later than half of the test answers" in remark)
    assert late in tastemaker("evaluate", tuned, *PROTOCOL).ok().out


def test_results_are_kept_and_compared(tuned: Path, counted: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    first, second, page = results / "a.json", results / "b.json", tmp_path / "report.html"
    done = tastemaker("evaluate", tuned, *PROTOCOL, "--out", first, "--report", page).ok()
    assert done.err.splitlines()[-2:] == [f"wrote {first}", f"wrote {page}"]
    assert page.read_text().startswith("<!doctype html>".upper()) or "<html" in page.read_text()
    tastemaker("evaluate", counted, *PROTOCOL, "--out", second).ok()
    assert json.loads(first.read_text())["name"] == "a"
    for what in ([first, second], [results]):
        told = tastemaker("compare", *what, "--focus", "tuned", "--json").json
        assert set(rows(told)) == {"popularity", "cooccurrence", "tuned", "counted"}
        assert {pair["a"] for pair in told["paired"]} == {"tuned"}
    assert "counted" in tastemaker("compare", results).ok().out
    tastemaker("compare", first, "--out", tmp_path / "both.json").ok()
    assert (tmp_path / "both.parquet").is_file()


def test_what_may_have_seen_the_answers_is_not_judged(tuned: Path) -> None:
    tastemaker("evaluate", tuned, *PROTOCOL, "-o", "split.k_core=2").fails(2, "may have seen the answers")
    tastemaker("evaluate", tuned, "--split", "user-ratio", *PROTOCOL).fails(2, "may have seen the answers")


def test_a_recommender_without_its_run_is_judged_with_a_warning(tuned: Path, data: Path, tmp_path: Path) -> None:
    shutil.copytree(tuned / "model", tmp_path / "copy")
    done = tastemaker("evaluate", tmp_path / "copy", "--data", data, "-o", "split.k_core=0", *PROTOCOL).ok()
    assert "may have seen the answers" in done.err


def test_validation_is_for_choosing(tuned: Path) -> None:
    told = tastemaker("evaluate", tuned, *PROTOCOL, "--part", "valid", "--json").json
    assert told["part"] == "valid"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["TUNED", "--protocol", "lara"], "did you mean 'llara'"),
        (["TUNED", "-o", "draw=3"], "did you mean 'draws'"),
        (["TUNED", "-o", "n=1"], "n"),
        (["sasrecc"], "did you mean 'sasrec'"),
        (["runs/nowhere"], "neither the directory of a run nor"),
        (["TUNED", "--part", "train"], "--part is test or valid"),
        (["TUNED", "--out", "result.txt"], "json"),
        (["TUNED", "--focus", "nobody"], "nobody"),
        (["TUNED", "TUNED"], "two systems are named"),
    ],
)
def test_wrong_questions_are_told_in_one_line(
    arguments: list[str], told: str, tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tastemaker("evaluate", *(tuned if a == "TUNED" else a for a in arguments)).fails(2, told)
    assert not list(tmp_path.glob("result*"))


def test_results_that_are_none_are_told(tuned: Path, tmp_path: Path) -> None:
    result = tmp_path / "a.json"
    tastemaker("compare", result).fails(2, "a.json")
    tastemaker("compare", tmp_path).fails(2, "holds no results")
    tastemaker("evaluate", tuned, *PROTOCOL, "--out", result).ok()
    other = tmp_path / "b.json"
    tastemaker("evaluate", tuned, *PROTOCOL[:-1], "draws=2", "--out", other).ok()
    tastemaker("compare", result, other).fails(2, "differ in their candidates_hash")
    result.with_suffix(".parquet").write_bytes(b"x")
    tastemaker("compare", result).fails(2, "a.parquet")
    result.write_text("{}")
    tastemaker("compare", result).fails(2, "is not a result: ")
    result.write_text("[]")
    tastemaker("compare", result).fails(2, "is not a result: expected what `tastemaker evaluate --out` writes")


def test_a_table_of_something_else_is_never_replaced_by_outcomes(counted: Path, tmp_path: Path) -> None:
    table, result = tmp_path / "shop.parquet", tmp_path / "shop.json"
    pl.DataFrame({"user_id": ["a"], "item_id": ["b"]}).write_parquet(table)
    before = table.read_bytes()
    tastemaker("evaluate", counted, *PROTOCOL, "--out", result).fails(2, "shop.parquet")
    kept = tmp_path / "kept.json"
    tastemaker("evaluate", counted, *PROTOCOL, "--out", kept).ok()
    tastemaker("evaluate", counted, *PROTOCOL, "--out", kept).ok()
    tastemaker("compare", kept, "--out", result).fails(2, "shop.parquet")
    tastemaker("compare", kept, "--out", table).fails(2, "json")
    assert table.read_bytes() == before
    assert not result.exists()


def test_a_run_named_like_a_baseline_can_be_judged(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "popularity"
    tastemaker("train", "popularity", "--data", data, "--out", run, "-o", "split.k_core=0").ok()
    tastemaker("evaluate", run).fails(2, "two systems are named 'popularity'", "--no-baselines")
    tastemaker("evaluate", run, "--no-baselines").ok()
