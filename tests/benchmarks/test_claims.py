"""The commands that measure the claims, on twelve users and a language model of 50,000 random weights."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import films_split
from pydantic import BaseModel

from benchmarks import claims, kept
from benchmarks.claims import Bench, Claim, Row
from tastemaker import collab
from tastemaker.collab.sasrec import SASRecConfig
from tastemaker.config import build
from tastemaker.evaluate.protocols.leave_one_out import LeaveOneOut
from tastemaker.evaluate.protocols.llara import Llara
from tastemaker.evaluate.result import Published
from tastemaker.llm import scoring
from tastemaker.methods.llara import LLaRA, LLaRAConfig
from tastemaker.testing.tiny_llm import tiny_lm

SMALL = {"epochs": 1, "validate_cases": 4, "layers": None}
PROMPTS = {"mode": "faithful", "max_steps": 1, "accumulate": 1, "batch_rows": 2, "validate_cases": 4}
ROWS = (
    Row("popularity", "trivial", "popularity"),
    Row("SASRec", "collaborative", "sasrec", {"epochs": 1}),
    Row("ours", "llm", "sasrec", {"epochs": 1}, SMALL),
    Row("ours, alone", "llm", "sasrec", {"epochs": 1}, {**SMALL, "fusion": False}),
    Row("untuned", "llm", "sasrec", {"epochs": 1}, {**PROMPTS, "content": "text", "max_steps": 0}, draws=2),
    Row("written", "llm", "sasrec", {"epochs": 1}, PROMPTS, draws=1, free=True),
)
TABLES = {"films": Llara(draws=3), "films-full": LeaveOneOut(metrics=("hr@10", "mrr"))}
TOLD = (Published(system="Big", metrics={"hr@1": 0.4526}, source="a paper"),)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tiny language model is, and where the benches of this file keep what they measured."""
    folder = tmp_path_factory.mktemp("claims")
    lm = tiny_lm()
    lm.model.save_pretrained(folder / "llm")
    lm.tokenizer.save_pretrained(folder / "llm")
    return folder


@pytest.fixture
def bench(place: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.chdir(place)
    monkeypatch.setattr(claims, "LLM", str(place / "llm"))
    monkeypatch.setattr(claims, "CLAIMS", {"films": Claim(films_split, TABLES, "ours", ROWS, TOLD)})
    return Bench("films", claims.line([]))


def result(bench: Bench) -> dict[str, dict[str, object]]:
    return json.loads(bench.write()[0].read_text())


@pytest.mark.parametrize("name", sorted(claims.CLAIMS))
def test_every_row_can_be_made_before_hours_are_spent(name: str) -> None:
    claim = claims.CLAIMS[name]
    assert len({row.id for row in claim.rows}) == len(claim.rows)
    assert {row.kind for row in claim.rows if row.name == claim.focus} == {"llm"}
    assert {"trivial", "collaborative", "llm"} == {row.kind for row in claim.rows}
    for row in claim.rows:
        collab.models.get(row.model)(**row.settings)
        assert (row.draws or 0) <= max(table.draws for table in claim.tables.values())
        if row.llara is not None:
            config = build(LLaRAConfig, row.llara)
            assert (config.reading == "choice") == (row.draws is not None), row.name
        assert row.llara is None or not row.free or row.draws


def test_a_table_is_written_from_what_is_there_and_names_what_is_not(bench: Bench) -> None:
    assert bench.write() == []
    for row in ROWS[:3]:
        bench.measure(row)
    found = result(bench)
    assert [row["system"] for row in found["rows"]] == ["popularity", "SASRec", "ours"]
    assert found["missing"] == ["ours, alone", "untuned", "written"]
    assert {pair["b"] for pair in found["paired"] if pair["best_non_llm"]} <= {"popularity", "SASRec"}
    assert found["candidates_hash"] == bench.candidates.hash
    assert str(bench.kept(ROWS[0])) not in json.dumps(found)


def test_every_kind_of_row_is_asked_once_and_read_from_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for row in ROWS:
        bench.measure(row)
    before = result(bench)
    assert before["missing"] == []
    assert {row["system"]: row["draws"] for row in before["rows"]} == {
        "popularity": 3, "SASRec": 3, "ours": 3, "ours, alone": 3, "untuned": 2, "written": 1
    }  # fmt: skip
    assert next(row for row in before["rows"] if row["system"] == "untuned")["metrics"]["valid_ratio"] == 1.0

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(LLaRA, "tune", never)
    monkeypatch.setattr(collab.CollaborativeModel, "fit", never)
    again = Bench("films", claims.line([]))
    for row in ROWS:
        again.measure(row)
    after = result(again)
    assert [row["metrics"] for row in after["rows"]] == [row["metrics"] for row in before["rows"]]


def test_kept_scores_are_those_of_the_model_in_the_order_of_the_cases(bench: Bench) -> None:
    row = ROWS[1]
    bench.measure(row)
    queries = bench.candidates.queries(bench.split.test, 1)[::-1]
    (fitted,) = Path("runs/claims/films/models").glob("sasrec-*")
    expected = collab.load_model(fitted).score_candidates(queries)
    for ours, theirs in zip(bench._system(row).score(queries), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_the_untuned_row_is_the_language_model_as_it_came(bench: Bench) -> None:
    row = ROWS[4]
    bench.measure(row)
    query = bench.candidates.queries(bench.split.test, 1)[5]
    method = LLaRA(str(Path("llm").resolve()), bench._model(row), **(row.llara or {})).tune(bench.split)
    fresh = type(method.llm).load(str(Path("llm").resolve()))
    fresh.filler = method.reading.projector  # type: ignore[union-attr]
    fresh.filler.hybrid = False
    place = bench.split.test.index(next(case for case in bench.split.test if case.query.user == query.user))
    prompt = method.reading.prompt(query, place % 3)  # type: ignore[union-attr]
    branches = [method.reading._answer(item) for item in query.candidates]  # type: ignore[union-attr]
    (expected,) = scoring.log_probabilities(fresh, [fresh.encode(prompt)], [branches])
    (ours,) = bench._system(row).score([query])
    np.testing.assert_allclose(ours, expected.detach().numpy(), rtol=1e-3, atol=1e-3)


def test_what_a_row_costs_is_what_asking_took(bench: Bench) -> None:
    for row in ROWS[:3]:
        bench.measure(row)
    path = bench.kept(ROWS[2])
    took = {**kept.took(path), "seconds": 500.0, "asking": 6.0}
    del took["commit"]
    kept.save(path, bench.asked, kept.arrays(path), **took)
    assert shown(bench, "ours")["seconds_per_1000"] == pytest.approx(500.0)  # 6 seconds for 12 users
    bench.measure(ROWS[2])
    assert bench._took(ROWS[2])["asking"] == 6.0
    bench.asked.again = True
    bench.measure(ROWS[2])
    assert 0 < bench._took(ROWS[2])["asking"] != 6.0
    assert bench._took(ROWS[2])["seconds"] == 500.0


def shown(bench: Bench, system: str) -> dict[str, Any]:
    return next(row for row in result(bench)["rows"] if row["system"] == system)


def test_a_fused_row_tells_the_share_of_the_language_model(bench: Bench) -> None:
    for row in ROWS[:4]:
        bench.measure(row)
    method = bench._llara(ROWS[2])
    assert shown(bench, "ours")["notes"] == f"share of the language model {method.weight:.2f}".replace(" 0.", " .")
    assert shown(bench, "ours, alone")["notes"] == ""
    assert shown(bench, "ours")["calibration"] is None
    assert shown(bench, "ours, alone")["calibration"] is not None
    assert shown(bench, "SASRec")["calibration"] is not None


def test_the_whole_catalogue_is_ranked_by_the_same_scores(bench: Bench) -> None:
    for row in ROWS[:5]:
        bench.measure(row)
    full = json.loads(bench.write()[1].read_text())
    assert [row["system"] for row in full["rows"]] == ["popularity", "SASRec", "ours", "ours, alone"]
    assert full["candidates_hash"] is None
    model = bench._model(ROWS[1])
    ranks = []  # all the places the positive may have, where others have its score
    for case, row in zip(bench.split.test, model.score([case.query for case in bench.split.test]), strict=True):
        rivals = [i for i in range(len(row)) if i not in case.query.history and i != case.positive]
        above, tied = (sum(compare(row[i], row[case.positive]) for i in rivals) for compare in (np.greater, np.equal))
        ranks.append(np.arange(1 + above, 2 + above + tied))
    found = next(row for row in full["rows"] if row["system"] == "SASRec")
    assert found["metrics"]["mrr"] == pytest.approx(np.mean([(1 / places).mean() for places in ranks]))
    assert found["metrics"]["hr@10"] == pytest.approx(np.mean([(places <= 10).mean() for places in ranks]))


def test_published_figures_go_with_the_table(bench: Bench) -> None:
    for row in ROWS[:3]:
        bench.measure(row)
    assert result(bench)["published"] == [one.model_dump() for one in TOLD]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"settings": {"epochs": 2}}, id="the model under it"),
        pytest.param({"seed": 1}, id="the seed"),
        pytest.param({"llara": {**SMALL, "lora_r": 4}}, id="a setting"),
    ],
)
def test_what_is_kept_goes_by_all_settings(bench: Bench, change: dict[str, Any]) -> None:
    row = ROWS[2]
    other = dataclasses.replace(row, **change)
    assert bench.kept(row) != bench.kept(other)
    assert bench._llara_facts(row) != bench._llara_facts(other)
    assert bench._llara_facts(row) == bench._llara_facts(ROWS[3])


@pytest.mark.parametrize(("config", "field"), [(LLaRAConfig, "epochs"), (SASRecConfig, "dropout")])
def test_a_default_that_changes_makes_what_is_kept_stale(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, config: type[BaseModel], field: str
) -> None:
    row = dataclasses.replace(ROWS[2], model="ensemble", settings={}, llara={})
    before = bench.kept(row), kept.key(bench._llara_facts(row))
    monkeypatch.setattr(config.model_fields[field], "default", 0.77)
    config.model_rebuild(force=True)
    changed = bench.kept(row), kept.key(bench._llara_facts(row))
    monkeypatch.undo()
    config.model_rebuild(force=True)
    assert before[0].name != changed[0].name
    assert before[1] != changed[1]


def test_a_setting_or_other_candidates_make_another_row(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    row = ROWS[4]
    assert bench.kept(row) != bench.kept(Row(row.name, row.kind, row.model, row.settings, row.llara, draws=1))
    assert bench.kept(ROWS[1]) != bench.kept(Row("SASRec", "collaborative", "sasrec", {"epochs": 2}))
    before, catalogue = bench.kept(row), bench.kept(ROWS[1])
    bench.candidates = bench.candidates.first(2)
    assert bench.kept(row) != before
    assert bench.kept(ROWS[1]) == catalogue
