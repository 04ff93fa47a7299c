"""What stands beside a run in its table: the model under it, whichever that is, and never twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from films import films_split
from shell import tastemaker

from tastemaker import Recommender, collab
from tastemaker.cli._company import Company
from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.methods.chatrec import ChatRec
from tastemaker.testing.methods import write_lm
from tastemaker.testing.preferences import opinions

LOO = ("-o", "split.k_core=0")
PROTOCOL = ("--protocol", "leave-one-out-20", "-o", "n=5", "--json")
QUICK = {
    "llara": ("-o", "max_steps=1"),
    "palr": ("-o", "max_steps=1"),
    "chatrec": ("-o", "weight=0", "-o", "nearness=0"),
}


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lm(tmp_path_factory.mktemp("lm") / "tiny")


@pytest.fixture
def narrow(data: Path, tmp_path: Path) -> Path:
    """A run of the small method on co-occurrence as nobody else has it."""
    out = tmp_path / "narrow"
    options = ("--collab", "cooccurrence", "--out", out, "-o", "collab.window=2", *LOO)
    tastemaker("train", "next-film", "--data", data, *options).ok()
    return out


def kinds(*arguments: object) -> dict[str, str]:
    rows = tastemaker("evaluate", *arguments, *PROTOCOL).json["rows"]
    found = {row["system"]: row["kind"] for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.parametrize("method", QUICK)
def test_what_is_under_a_method_has_a_row(method: str, data: Path, lm: Path, tmp_path: Path) -> None:
    few = ("-o", "collab.epochs=1", "-o", "collab.embedding_size=8", *QUICK[method])
    out = tmp_path / "mine"
    tastemaker("train", method, "--data", data, "--llm", lm, "--collab", "sasrec", "--out", out, *LOO, *few).ok()
    found = kinds(out, "--llm-draws", 1)
    assert found == {"popularity": "trivial", "cooccurrence": "trivial", "sasrec": "collaborative", "mine": "llm"}
    same = ("-o", "sasrec.epochs=1", "-o", "sasrec.embedding_size=8")
    assert kinds(out, "sasrec", *same).keys() == found.keys()
    other = ("-o", "sasrec.epochs=1", "-o", "sasrec.embedding_size=4")
    assert kinds(out, "sasrec", *other).keys() == {*found, "sasrec of mine"}


def test_a_model_of_the_same_name_takes_nobody_s_row(narrow: Path, tuned: Path) -> None:
    rows = {"popularity", "cooccurrence", "cooccurrence of narrow", "narrow"}
    assert kinds(narrow).keys() == kinds(narrow, "cooccurrence").keys() == rows
    assert kinds(narrow, tuned).keys() == {*rows, "tuned"}
    assert kinds(narrow, "--no-baselines").keys() == {"narrow"}


def test_runs_on_one_model_share_its_row(narrow: Path, tmp_path: Path) -> None:
    again = shutil.copytree(narrow, tmp_path / "again")
    found = kinds(narrow, again).keys()
    assert found == {"popularity", "cooccurrence", "cooccurrence of narrow", "narrow", "again"}


def test_a_run_of_the_model_itself_is_its_row(narrow: Path, data: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    tastemaker("train", "cooccurrence", "--data", data, "--out", alone, "-o", "window=2", *LOO).ok()
    assert kinds(narrow, alone).keys() == {"popularity", "cooccurrence", "narrow", "alone"}


def test_a_ranker_tuned_on_another_model_than_retrieves_shows_both(lm: Path, data: Path, tmp_path: Path) -> None:
    split = films_split()
    under = collab.models.get("cooccurrence")(window=2).fit(split)
    ranker = ChatRec(str(lm), under, weight=0, nearness=0).tune(split)
    retriever = collab.models.get("itemknn")().fit(split)
    Recommender(retriever, ranker, split).save_pretrained(tmp_path / "both")
    found = kinds(tmp_path / "both", "--data", data, *LOO)
    assert found.keys() == {"popularity", "cooccurrence", "itemknn", "cooccurrence of both", "both"}


def test_everybody_has_a_name_of_their_own() -> None:
    split = films_split()
    models = [collab.models.get("cooccurrence")(window=window).fit(split) for window in (1, 2, 3, 4)]
    company = Company(["cooccurrence"], models[:1])
    assert [company.join(model, "mine") for model in (*models, models[1])] == [
        None,
        "cooccurrence of mine",
        "cooccurrence of mine (2)",
        "cooccurrence of mine (3)",
        None,
    ]


@pytest.mark.parametrize("protocol", ["leave-one-out-20", "collm"])
def test_one_name_for_two_is_told_before_anything_is_fitted(
    protocol: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = ("--split", "leave-one-out", *LOO)
    name = "item-rate" if protocol == "collm" else "popularity"
    if protocol == "collm":
        monkeypatch.setattr("tastemaker.cli._runs.any_split_of", lambda *given: opinions())
        split = ()
    for kind in (collab.CollaborativeModel, PointwiseModel):
        monkeypatch.setattr(kind, "fit", lambda *given, **options: pytest.fail("fitted"))
    asked = ("evaluate", name, name, "--data", data, "--protocol", protocol, *split)
    tastemaker(*asked).fails(2, f"two systems are named '{name}'")
