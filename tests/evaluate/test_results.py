from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from tastemaker import evaluate as package
from tastemaker.data.split import Split
from tastemaker.errors import DataError
from tastemaker.evaluate.evaluation import Evaluation
from tastemaker.evaluate.machine import commit, machine
from tastemaker.evaluate.pages import fill_readme, results_md, write_pages
from tastemaker.evaluate.result import read_result
from tastemaker.evaluate.results import read_evaluation, write_result
from tastemaker.evaluate.run import evaluate

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def evaluation(split: Split, toy: SimpleNamespace) -> Evaluation:
    systems = [toy.oracle("ours", seed=0), toy.oracle("ours", seed=1), toy.constant(), toy.half("a | b")]
    return evaluate(split, systems, "leave-one-out-20", focus="ours")


@pytest.fixture
def folder(tmp_path: Path, evaluation: Evaluation) -> Path:
    write_result(evaluation, tmp_path / "results" / "steps.json", "make steps", commit="c0ffee")
    return tmp_path


def test_a_result_has_the_agreed_fields_and_reads_back(folder: Path, evaluation: Evaluation) -> None:
    path = folder / "results" / "steps.json"
    raw = json.loads(path.read_text())
    assert " ".join(list(raw)[:10]) == "name protocol command commit data_hash candidates_hash n seeds machine seconds"
    assert list(raw)[10:12] == ["rows", "paired"]
    assert list(raw["rows"][0])[:4] == ["system", "kind", "metrics", "ci95"]
    assert list(raw["paired"][0])[:6] == ["a", "b", "metric", "delta", "ci95", "p"]
    assert (raw["name"], raw["n"], raw["seeds"], raw["command"]) == ("steps", 12, [0, 1], "make steps")
    assert read_result(path).rows == evaluation.rows
    assert read_result(path).paired == evaluation.paired


def test_an_evaluation_reads_back_with_every_outcome(folder: Path, evaluation: Evaluation) -> None:
    back = read_evaluation(folder / "results" / "steps.json")
    assert back.outcomes.equals(evaluation.outcomes)
    assert back.protocol == evaluation.protocol
    assert back.rows == evaluation.rows


def test_nothing_in_a_result_names_the_place_it_was_made(folder: Path) -> None:
    text = (folder / "results" / "steps.json").read_text()
    assert str(folder) not in text
    assert Path.home().as_posix() not in text.replace('"/', "")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: raw.pop("rows"), "rows: Field required"),
        (lambda raw: raw["rows"][0]["metrics"].update({"hr@1": "many"}), "valid number"),
        (lambda raw: raw["rows"].clear(), "at least 1 item"),
        (lambda raw: raw["rows"][0].update(ci95={"hr@1": [0.1]}), "ci95"),
    ],
)
def test_a_damaged_result_is_one_clear_line(folder: Path, damage: Any, message: str) -> None:
    path = folder / "results" / "steps.json"
    raw = json.loads(path.read_text())
    damage(raw)
    path.write_text(json.dumps(raw))
    with pytest.raises(DataError, match=message) as caught:
        read_result(path)
    assert "steps.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_json_or_not_there_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        read_result(tmp_path / "x.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_result(tmp_path / "y.json")


def test_foreign_outcomes_are_refused(folder: Path) -> None:
    pl.DataFrame({"system": ["x"]}).write_parquet(folder / "results" / "steps.parquet")
    with pytest.raises(DataError, match=r"is not the file steps\.json was written with"):
        read_evaluation(folder / "results" / "steps.json")


def test_results_md_has_every_row_and_its_company(folder: Path) -> None:
    text = results_md(folder / "results")
    for expected in ("## steps", "| constant |", "| a \\| b |", "| ours |", "make steps", "c0ffee", "12 cases"):
        assert expected in text
    assert "**1.000** [" in text
    assert "the best without a language model" in text


def test_seeds_are_told_by_row_where_rows_have_not_the_same(folder: Path) -> None:
    path = folder / "results" / "steps.json"
    raw = json.loads(path.read_text())
    for run in raw["runs"]:
        run["seed"] = run["seed"] or 0
    raw["rows"] = [row | {"kind": "llm"} for row in raw["rows"]]
    path.write_text(json.dumps(raw))
    assert "; seeds 0, 1 of ours; 0 of all others; " in results_md(folder / "results")
    raw["runs"] = [run for run in raw["runs"] if run["seed"] == 0]
    path.write_text(json.dumps(raw | {"seeds": [0]}))
    assert "; seeds 0; " in results_md(folder / "results")


def test_results_md_tells_what_is_missing_and_what_others_report(folder: Path) -> None:
    path = folder / "results" / "steps.json"
    raw = json.loads(path.read_text())
    assert "Not measured yet" not in results_md(folder / "results")
    raw["missing"] = ["theirs", "ours (seed 2)"]
    raw["published"] = [{"system": "Big (7B)", "metrics": {"hr@1": 0.4526}, "source": "their README"}]
    path.write_text(json.dumps(raw))
    text = results_md(folder / "results")
    assert "\nNot measured yet: theirs, ours (seed 2).\n" in text
    assert "\nPublished, not measured here (other models, other candidate lists):\n\n- Big (7B) hr@1 0.4526 (" in text
    filled = fill_readme("<!-- results:steps -->\n<!-- /results -->", folder / "results")
    assert "Published, not measured here (other models, other candidate lists): Big (7B) hr@1 0.4526 (" in filled


def test_pages_are_written_once_and_then_stay(folder: Path) -> None:
    readme = folder / "README.md"
    readme.write_text("# x\n<!-- results:steps -->\nold\n<!-- /results -->\nend\n")
    assert write_pages(folder) == [folder / "RESULTS.md", readme]
    text = readme.read_text()
    assert text.startswith("# x\n<!-- results:steps -->\n| | hr@1 | valid_ratio |")
    assert text.endswith("<!-- /results -->\nend\n")
    assert "old" not in text
    assert write_pages(folder) == []


def test_several_results_have_a_line_for_each_metric_that_was_tested(folder: Path) -> None:
    raw = json.loads((folder / "results" / "steps.json").read_text())
    rows = [
        {"system": name, "kind": kind, "metrics": {"auc": auc, "log_loss": loss}}
        for name, kind, auc, loss in (
            ("rate", "trivial", 0.7, 0.5), ("share", "trivial", 0.6, 0.4), ("net", "collaborative", 0.8, 0.6),
            ("ours", "llm", 0.9, 0.3),
        )
    ]  # fmt: skip
    test = {"a": "ours", "delta": 0.1, "ci95": [0.05, 0.15], "p": 0.01, "p_holm": 0.02, "best_non_llm": True}
    paired = [test | {"b": "net", "metric": "auc"}, test | {"b": "share", "metric": "log_loss"}]
    raw |= {"name": "yes", "rows": rows, "paired": [*paired, test | {"b": "net", "metric": "auc", "a": "rate"}]}
    raw |= {"focus": "ours", "metrics": ["auc", "log_loss"]}
    (folder / "results" / "yes.json").write_text(json.dumps(raw))
    filled = fill_readme("<!-- results:yes steps -->\nold\n<!-- /results -->", folder / "results").splitlines()
    told = "+0.100 [+0.050, +0.150] | 0.020"
    assert filled[3:5] == [
        f"| [yes](RESULTS.md#yes) | auc | rate 0.700 | net 0.800 | ours 0.900 | {told} |",
        f"|  | log_loss | share 0.400 | net 0.600 | ours 0.300 | {told} |",
    ]
    assert filled[5].startswith("| [steps](RESULTS.md#steps) | hr@1 | ")
    assert len(filled) == 7
    (folder / "results" / "yes.json").write_text(json.dumps(raw | {"paired": []}))
    with pytest.raises(DataError, match="yes has no tests of ours against others"):
        fill_readme("<!-- results:yes steps -->\nold\n<!-- /results -->", folder / "results")


def test_several_measurements_stand_side_by_side_where_targets_were_set(tmp_path: Path) -> None:
    plain = {"protocol": "speed", "command": "x", "commit": "c0ffee", "data_hash": "d", "n": 1, "machine": "m"}
    plain |= {"metrics": ["ratio", "target", "ours"], "seconds": 1.0}
    choosing = {"system": "choosing", "kind": "naive", "metrics": {"ratio": 3.0, "target": 5.5, "ours": 7.0}}
    memory = {"system": "scoring", "kind": "memory", "metrics": {"ours": 1.8, "target": 1.5}}
    aimless = {"system": "else", "kind": "naive", "metrics": {"ratio": 2.0}}
    for name, rows in (("a", [choosing, aimless]), ("b", [memory])):
        (tmp_path / f"{name}.json").write_text(json.dumps(plain | {"name": name, "rows": rows}))
    assert fill_readme("<!-- results:a b -->\n<!-- /results -->", tmp_path).splitlines()[1:-1] == [
        "| | target | [a](RESULTS.md#a) | [b](RESULTS.md#b) |",
        "|---|---:|---:|---:|",
        "| *naive* | | | |",
        "| choosing | 5.500 | 3.000 | – |",
        "| *memory* | | | |",
        "| scoring | 1.500 | – | 1.800 |",
    ]


def test_a_marker_without_its_result_is_told(folder: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.json: is asked for"):
        fill_readme("<!-- results:gone -->\n<!-- /results -->", folder / "results")


def test_other_measurements_have_a_page_too(tmp_path: Path) -> None:
    plain = {"name": "demo", "protocol": "clock", "command": "make demo", "commit": "c0ffee", "data_hash": "d"}
    plain |= {"n": 1, "machine": "m", "seconds": 400.0}
    rows = [{"system": "first run", "kind": "demo", "metrics": {"minutes": 9.5, "gigabytes": 2.25}}]
    (tmp_path / "demo.json").write_text(json.dumps(plain | {"rows": rows}))
    assert "| first run | 9.500 | 2.250 |" in results_md(tmp_path)


@pytest.mark.skipif(not list((ROOT / "results").glob("*.json")), reason="no results are committed yet")
def test_committed_pages_say_what_the_result_files_say() -> None:
    assert (ROOT / "RESULTS.md").read_text(encoding="utf-8") == results_md(ROOT / "results")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == fill_readme(readme, ROOT / "results")


def test_the_machine_is_described_without_names_or_paths(tmp_path: Path) -> None:
    import platform

    line = machine()
    assert "cores" in line
    assert "GB" in line
    assert platform.node() not in line.split(", ")
    assert "/" not in line
    assert commit(tmp_path) == "unknown"


def test_every_public_name_is_there_and_sorted() -> None:
    assert package.__all__ == sorted(package.__all__)
    assert all(getattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError):
        _ = package.nothing
