"""tastemaker train collm, tallrec and evaluate --protocol collm, on a table of ratings nobody made for them."""

from __future__ import annotations

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


def test_it_is_judged_beside_the_rates(run: Path) -> None:
    told = tastemaker("evaluate", run, "mf", "--protocol", "collm", "--json", "-o", "mf.epochs=1").json
    assert {row["system"] for row in told["rows"]} == {"item-rate", "user-item-rate", "mf", "mine"}


def test_tallrec_needs_no_encoder(table: Path, lm: Path, tmp_path: Path) -> None:
    out = tmp_path / "few"
    told = ("train", "tallrec", "--data", table, "--llm", lm, "--out", out, "-o", "shots=8", *SMALL)
    tastemaker(*told).ok()
    assert yaml.safe_load((out / "config.yaml").read_text())["collab"] is None
    tastemaker(*told[:-4], "--collab", "mf", "--overwrite").fails(2, "reads no vectors")


def test_the_wrong_kind_of_split_is_one_line(table: Path, lm: Path, tmp_path: Path) -> None:
    asked = ("train", "collm", "--data", table, "--llm", lm, "--out", tmp_path / "no", "--split", "leave-one-out")
    tastemaker(*asked, "-o", "split.k_core=0").fails(2, "asks what comes next")
    tastemaker("evaluate", "popularity", "--data", table, "--protocol", "collm", "--split", "leave-one-out").fails(
        2, "asks what is next"
    )
