"""tastemaker train collm, tallrec and evaluate --protocol collm, on a table of ratings nobody made for them."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
import yaml
from shell import tastemaker

from tastemaker import Recommender
from tastemaker.testing.methods import write_lm
from tastemaker.testing.preferences import opinions

SMALL = ("-o", "max_steps=2", "-o", "validate_rows=10")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of explicit ratings with times."""
    data = opinions().dataset
    path = tmp_path_factory.mktemp("table") / "my.csv"
    rows = data.interactions.to_dicts()
    users, items = data.users["user_id"], data.items["item_id"]
    lines = [f"{users[row['user']]},{items[row['item']]},{row['rating']:g},{row['time']}" for row in rows]
    path.write_text("\n".join(["user_id,item_id,rating,time", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lm(tmp_path_factory.mktemp("lm") / "tiny")


@pytest.fixture(scope="module")
def run(table: Path, lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "mine"
    few = ("-o", "collab.epochs=1", "-o", "text_size=4", *SMALL)
    tastemaker("train", "collm", "--data", table, "--llm", lm, "--collab", "mf", "--out", out, *few).ok()
    return out


def test_one_command_makes_a_recommender(run: Path) -> None:
    found = yaml.safe_load((run / "config.yaml").read_text())
    assert (found["train"], found["collab"]["name"], found["data"]["split"]) == ("collm", "mf", "time-quantiles")
    listed = Recommender.from_pretrained(run).recommend(users=["u0", "u1"], n=3)
    assert listed.height == 6
    assert listed["score"].is_finite().all()


def test_it_is_judged_beside_its_encoder_and_all_that_its_fusion_hears(run: Path) -> None:
    told = tastemaker("evaluate", run, "--protocol", "collm", "--json").json
    assert {row["system"]: row["kind"] for row in told["rows"]} == {
        "item-rate": "trivial",
        "user-item-rate": "trivial",
        "user-item-rate of mine": "trivial",  # which counts what the history says, as nobody else does
        "liked-count": "trivial",
        "attribute-rate": "trivial",
        "mf": "collaborative",
        "mine": "llm",
    }
    (best,) = {pair["b"] for pair in told["paired"] if pair["best_non_llm"] and pair["metric"] == "auc"}
    others = {row["system"]: row["metrics"]["auc"] for row in told["rows"] if row["kind"] != "llm"}
    assert others[best] == max(others.values())
    bare = tastemaker("evaluate", run, "--protocol", "collm", "--no-baselines", "--json").json
    assert [row["system"] for row in bare["rows"]] == ["mine"]


def test_each_model_has_one_row_whoever_hears_it(run: Path, tmp_path: Path) -> None:
    again = shutil.copytree(run, tmp_path / "again")

    def rows(*settings: str) -> list[str]:
        told = tastemaker("evaluate", run, again, "mf", "--protocol", "collm", "--json", *settings).json
        return sorted(row["system"] for row in told["rows"])

    company = ["again", "attribute-rate", "item-rate", "liked-count", "mf", "mine"]
    company += ["user-item-rate", "user-item-rate of mine"]
    assert rows("-o", "mf.epochs=1") == company
    assert rows("-o", "mf.epochs=1", "-o", "mf.embedding_size=8") == sorted([*company, "mf of mine"])


def test_binllm_is_judged_beside_its_codes(table: Path, lm: Path, tmp_path: Path) -> None:
    out = tmp_path / "codes"
    few = ("-o", "collab.epochs=1", *SMALL)
    tastemaker("train", "binllm", "--data", table, "--llm", lm, "--out", out, *few).ok()
    told = tastemaker("evaluate", out, "--protocol", "collm", "--json").json
    assert {"hashed-mf": "collaborative", "codes": "llm"}.items() <= {
        row["system"]: row["kind"] for row in told["rows"]
    }.items()


def test_tallrec_needs_no_encoder(table: Path, lm: Path, tmp_path: Path) -> None:
    out = tmp_path / "few"
    told = ("train", "tallrec", "--data", table, "--llm", lm, "--out", out, "-o", "shots=8", *SMALL)
    tastemaker(*told).ok()
    assert yaml.safe_load((out / "config.yaml").read_text())["collab"] is None
    found = tastemaker("evaluate", out, "--protocol", "tallrec", "--json").json["rows"]
    # The rate it hears is counted on its shots alone, so it is not the one that is counted on all rows.
    rates = {"item-rate", "user-item-rate", "item-rate of few", "like-share"}
    assert {row["system"] for row in found} == {*rates, "few"}
    tastemaker(*told[:-4], "--collab", "mf", "--overwrite").fails(2, "reads no vectors")


def test_the_wrong_kind_of_split_is_one_line(table: Path, lm: Path, tmp_path: Path) -> None:
    asked = ("train", "collm", "--data", table, "--llm", lm, "--out", tmp_path / "no", "--split", "leave-one-out")
    tastemaker(*asked, "-o", "split.k_core=0").fails(2, "asks what comes next")
    tastemaker("evaluate", "popularity", "--data", table, "--protocol", "collm", "--split", "leave-one-out").fails(
        2, "asks what is next"
    )


def rated(path: Path, rows: list[tuple[object, ...]], header: str = "user_id,item_id,rating,time") -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


DRAW = random.Random(0)
ROWS = [(f"u{at % 6}", f"i{at % 11}", DRAW.choice([1, 5]), 1_000 + at) for at in range(60)]
"""Every pair once, in time; the last six are test, the six before them validation."""


@pytest.mark.parametrize(
    ("rows", "header", "told"),
    [
        ([], "user_id,item_id,rating,time", "there are no usable rows"),
        ([row[:3] for row in ROWS], "user_id,item_id,rating", "needs times, and none has one; say which column"),
        (ROWS, "user_id,item_id,rating,when", "with columns.time"),
        ([(u, i, t) for u, i, _, t in ROWS], "user_id,item_id,time", "has 60 of 60 interactions without a rating"),
        ([*ROWS, ("u0", "new", "", 2_000)], "user_id,item_id,rating,time", "1 of 61 interactions without a rating"),
        (
            [*ROWS, ("u0", "new", "good", 2_000)],
            "user_id,item_id,rating,time",
            ".csv:62: rating 'good' is not a number",
        ),
        ([*ROWS, ("u0", "new", "NaN", 2_000)], "user_id,item_id,rating,time", ".csv:62: rating 'NaN' is not a number"),
        (ROWS, "user_id,movie,rating,time", ".csv:1: no column for item_id"),
        ([(u, i, 5, t) for u, i, _, t in ROWS], "user_id,item_id,rating,time", "only liked ratings; set min_rating"),
        ([(u, i, 5 if t < 1_050 else 1, t) for u, i, _, t in ROWS], "user_id,item_id,rating,time", "min_rating"),
        ([(u, i, r, 1_000) for u, i, r, _ in ROWS], "user_id,item_id,rating,time", "leaves no train rows"),
    ],
)
def test_a_table_that_teaches_nothing_is_one_line(
    rows: list[tuple[object, ...]], header: str, told: str, lm: Path, tmp_path: Path
) -> None:
    table = rated(tmp_path / "my.csv", rows, header)
    tastemaker("train", "collm", "--data", table, "--llm", lm, "--out", tmp_path / "run").fails(2, told)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", ["collm", "tallrec", "binllm"])
def test_odd_tables_are_learned_from(method: str, lm: Path, tmp_path: Path) -> None:
    """Users with one row, titles that are blank, alike or endless, and tests with one kind of answer."""
    titles = ["", " ", "Same", "Same", "Long " * 500]
    rows = [
        (f"u{at}", f"i{at % 11}", 5 if time >= 1_048 else rating, time, titles[at % 11 % len(titles)])
        for at, (_, _, rating, time) in enumerate(ROWS)
    ]
    table, out = rated(tmp_path / "my.csv", rows, "user_id,item_id,rating,time,title"), tmp_path / "run"
    few = () if method == "tallrec" else ("-o", "collab.epochs=1")
    tastemaker("train", method, "--data", table, "--llm", lm, "--out", out, *few, *SMALL).ok()
    told = tastemaker("evaluate", out, "--protocol", "collm", "--json").json
    assert {name for row in told["rows"] for name in row["metrics"]} == {"log_loss"}
    assert told["paired"] == []
    assert "all 6 rows are liked: their order says nothing." in told["remarks"]
    tastemaker("evaluate", out, "--protocol", "collm", "--report", tmp_path / "page.html").ok()


def test_where_nobody_answered_both_ways_users_are_not_compared(tmp_path: Path) -> None:
    rows = [(f"u{at}", *row[1:]) for at, row in enumerate(ROWS)]
    table = rated(tmp_path / "my.csv", [*rows, ("a", "i0", 1, 2_000), ("b", "i1", 5, 2_000)])
    told = tastemaker("evaluate", "item-rate", "--data", table, "--protocol", "collm", "--json").json
    assert {row["b"]: row["metric"] for row in told["paired"]} == {"user-item-rate": "auc"}
    assert "uauc" not in told["rows"][0]["metrics"]


def test_who_or_what_is_not_known_is_one_line(run: Path, tmp_path: Path) -> None:
    tastemaker("recommend", run, "--user", "nobody").fails(2, "no user with id 'nobody'")
    seen = tmp_path / "seen.txt"
    seen.write_text("nothing\n")
    tastemaker("recommend", run, "--history", seen).fails(2, "no item with id 'nothing'")


def test_answers_that_begin_alike_are_one_line(table: Path, lm: Path, tmp_path: Path) -> None:
    asked = ("train", "tallrec", "--data", table, "--llm", lm, "--out", tmp_path / "run")
    tastemaker(*asked, "-o", 'answers=["Yes","Yes."]').fails(2, "begin with the same token; set other answers")


def test_a_run_of_another_language_model_is_one_line(table: Path, tmp_path: Path) -> None:
    lm, out = write_lm(tmp_path / "lm"), tmp_path / "run"
    tastemaker("train", "tallrec", "--data", table, "--llm", lm, "--out", out, "-o", "shots=8", *SMALL).ok()
    write_lm(lm, seed=1)
    tastemaker("evaluate", out, "--protocol", "collm").fails(2, "was tuned on another", "tune again")
