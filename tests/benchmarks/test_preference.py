"""The claims on yes/no questions: rows are measured one at a time, kept, and written with what is missing."""

from __future__ import annotations

import json

import pytest

from benchmarks import collm_cost, curve, preference, preference_rows
from benchmarks.preference_rows import CLAIMS, Claim, Row
from tastemaker.evaluate.protocols.collm import Collm
from tastemaker.testing.methods import write_lm
from tastemaker.testing.preferences import opinions

FEW = {"max_steps": 2, "validate_every": 2, "validate_rows": 10, "text_size": 4}
SMALL = {"epochs": 1, "embedding_size": 4}
ROWS = (
    Row("item rate", "trivial", "item-rate"),
    *(Row("MF", "collaborative", "mf", SMALL, seed=seed) for seed in (0, 1)),
    Row("both", "collaborative", parts=("item rate", "MF"), weights="learned"),
    Row("CoLLM", "llm", "mf", SMALL, "collm", FEW),
    Row("whole CoLLM", "llm", "mf", SMALL, "collm", {"epochs": 2, "text_size": 4, "fusion": False}),
    Row("bare CoLLM", "llm", "mf", SMALL, "collm", {**FEW, "fusion": False}),
    Row("TALLRec", "llm", method="tallrec", tuning={"shots": 4, "max_steps": 1, "validate_rows": 10}),
)


@pytest.fixture
def claim(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(preference, "LLM", str(write_lm(tmp_path / "lm")))
    monkeypatch.setattr(preference.evaluate, "write_pages", lambda folder: None)
    monkeypatch.setitem(CLAIMS, "small", Claim(opinions, Collm(), "CoLLM", ROWS))
    return tmp_path / "results" / "small.json"


def test_rows_come_one_at_a_time_and_are_kept(claim, capsys):
    preference.main(["small", "--only", "item-rate"])
    assert "not measured yet" in capsys.readouterr().out
    assert not claim.exists()
    preference.main(["small", "--only", "collm", "both"])
    told = json.loads(claim.read_text())
    assert {row["system"] for row in told["rows"]} == {"item rate", "MF", "both", "CoLLM"}
    assert told["missing"] == ["MF", "whole CoLLM", "bare CoLLM", "TALLRec"]
    capsys.readouterr()
    preference.main(["small"])
    assert "both" not in capsys.readouterr().err
    told = json.loads(claim.read_text())
    assert told["missing"] == []
    assert len(told["rows"]) == 7
    assert all("auc" in row["metrics"] for row in told["rows"])


@pytest.mark.parametrize("name", ["tallrec-movie", "collm-ml1m", "collm-ml1m-all"])
def test_every_claim_has_its_focus_and_settings_that_hold(name):
    claim = preference_rows.CLAIMS[name]
    assert claim.focus in {row.name for row in claim.rows}
    ids = [row.id for row in claim.rows]
    assert len(ids) == len(set(ids))
    for row in claim.rows:
        if row.method is not None:
            preference._config(row)
        assert set(row.parts) <= {other.name for other in claim.rows}


def test_who_sees_all_labels_says_so():
    for row in CLAIMS["collm-ml1m-all"].rows:
        sees = row.method is not None or row.parts or row.settings.get("users") == "history"
        assert ("(all labels)" in row.name) == bool(sees or row.model in ("like-share", "sasrec-answers"))


def test_the_cost_of_vectors_is_told_in_turns(tmp_path):
    found = collm_cost.cost(
        opinions(), str(write_lm(tmp_path / "lm")), steps=2, asked=6, rounds=2, text_size=4, batch_positions=64
    )
    assert list(found) == ["training", "inference"]
    for what, duel in found.items():
        assert len(duel.ours) == len(duel.theirs) == 2
        row = collm_cost.row(what, duel)
        assert min(row.metrics.values()) > 0
        assert row.metrics["lowest"] <= row.metrics["ratio"] <= row.metrics["highest"]


def test_the_curve_of_a_tuning_is_read_off_its_log(claim, capsys):
    preference.main(["small", "--only", "collm", "whole", "item-rate"])
    curve.main(["small"])
    told = json.loads(claim.with_name("small-curve.json").read_text())
    assert [row["system"] for row in told["rows"]] == [f"whole CoLLM, {2 * len(opinions().train):,} rows"]
    assert 0 < told["rows"][0]["metrics"]["figure"] < 1
    assert claim.with_name("small-curve-rows.svg").read_text().count("<circle") == 1
    assert claim.with_name("small-curve-seconds.svg").is_file()


def test_a_curve_counts_on_where_tuning_was_stopped(tmp_path):
    log = tmp_path / "log.jsonl"
    rows = [(1, 2.0, None), (2, 4.0, 0.5), (3, 1.0, None), (4, 3.0, 0.6)]
    names = ("stage", "step", "seconds", "valid")
    log.write_text("\n".join(json.dumps(dict(zip(names, ("joint", *row), strict=True))) for row in rows))
    assert curve.points(log, 40) == [curve.Point(20, 4.0, 0.5), curve.Point(40, 7.0, 0.6)]
