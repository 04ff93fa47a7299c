"""PALR's claims, on made-up films: every kind of row is measured once, kept, and written into both tables."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from benchmarks import palr
from benchmarks import palr_retrievers as retrievers
from benchmarks.palr_rows import (
    CLAIMS,
    MATCHED,
    UNTRAINED,
    Claim,
    Retriever,
    beauty,
    heard_by,
    ml1m,
    published,
    untouched,
)
from benchmarks.profile_match import ProfileMatch
from benchmarks.rerank import Reranker
from tastemaker import Recommender, evaluate
from tastemaker.collab.base import CollaborativeModel
from tastemaker.llm.local import LocalLM
from tastemaker.methods._palr_fusion import Weights
from tastemaker.methods._scores import standard
from tastemaker.testing.methods import chains, write_lm
from tastemaker.types import FloatArray, Query

SASREC = Retriever(("sasrec",), {"sasrec": {"embedding_size": 8, "epochs": 2, "max_history": 12}})
QUICK = {"epochs": 1, "batch_positions": 256, "validate_cases": 8, "content": "hybrid", "text_size": 4}
PROMPTED = {"decode": "free", "max_steps": 1, "list_length": 3, "window": 60}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> palr.Bench:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(palr, "LLM", str(write_lm(tmp_path / "lm")))
    monkeypatch.setattr(palr, "SAMPLE", 20)
    monkeypatch.setattr(palr, "N", 12)
    rows = (
        palr.Row("popularity", "trivial", "popularity"),
        palr.RETRIEVER,
        MATCHED,
        palr.Row("PALR (default)", "llm", palr={**QUICK, "n": 12}),
        palr.Row("written freely", "llm", palr=PROMPTED, everybody=False),
        palr.Row("never measured", "collaborative", "sasrec"),
    )
    claim = Claim(chains, (SASREC,), rows, "PALR (default)", {}, published("ml1m"))
    monkeypatch.setitem(palr.CLAIMS, "films", claim)
    return palr.Bench("films", palr.line([]))


def test_rows_are_kept_and_both_tables_written(bench: palr.Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for row in bench.claim.rows[:-1]:
        bench.measure(row)
    monkeypatch.setattr(evaluate, "evaluate", lambda *arguments: pytest.fail("measured again"))
    bench.measure(bench.claim.rows[0])
    sample, whole = (evaluate.read_result(path) for path in bench.write())
    assert (sample.n, whole.n) == (20, 48)
    assert [row.system for row in sample.rows][-2:] == ["PALR (default)", "written freely"]
    assert "written freely" not in [row.system for row in whole.rows]
    assert sample.missing == ("never measured",)
    told = {row.system: row for row in sample.rows}
    assert "HR@12 is" in told["retriever"].notes
    assert "ranking" in told["PALR (default)"].notes
    assert "weights " in told["PALR (default)"].notes
    assert "weights " in told[MATCHED.name].notes
    assert "backfill" in told["written freely"].notes
    assert 0 < told["PALR (default)"].metrics["coverage@10"] <= 1
    assert json.loads(Path("results/films.json").read_text())["published"]
    assert whole.metrics[-2:] == ("coverage@10", "novelty@10")


def test_a_part_is_what_the_same_cases_would_have_got_by_themselves(
    bench: palr.Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(palr.CLAIMS, "films", dataclasses.replace(bench.claim, inductive=True))
    inductive = palr.Bench("films", palr.line([]))
    row = inductive.claim.rows[0]
    inductive.measure(row)
    for part, places in inductive.parts.items():
        found = evaluate.read_evaluation(inductive.kept(row, part))
        cases = tuple(bench.split.test[at] for at in places)
        alone = evaluate.evaluate(
            dataclasses.replace(bench.split, test=cases), [inductive._system(row)], inductive._protocol
        )
        assert found.outcomes.equals(alone.outcomes)
        assert found.data_hash == alone.data_hash
        assert (found.n, found.rows[0].metrics) == (len(places), alone.rows[0].metrics)
        assert found.remarks == alone.remarks


def test_the_profile_alone_is_palr_with_a_silent_language_model(bench: palr.Bench) -> None:
    queries = [case.query for case in bench.split.test[:6]]
    alone = ProfileMatch(bench._retriever(), 12).fit(bench.split)
    method = bench._palr(bench.claim.rows[3])
    method.weights = Weights(retriever=1, rank=0.2, match=2)
    alone.weights = method.weights
    ranked = Recommender(bench._retriever(), method, bench.split, n_candidates=12).score_queries(queries)
    for row, other, query in zip(alone.score(queries), ranked, queries, strict=True):
        unseen = np.setdiff1d(np.arange(len(row)), query.history)
        np.testing.assert_array_equal(*(unseen[np.argsort(-one[unseen], kind="stable")] for one in (row, other)))


def test_the_control_is_the_same_network_that_has_read_nothing(bench: palr.Bench) -> None:
    read = AutoModelForCausalLM.from_pretrained(palr.LLM)
    read.get_input_embeddings().weight.data += 1  # as it never is before reading
    read.save_pretrained(palr.LLM)
    control = dataclasses.replace(UNTRAINED, palr={**QUICK, "n": 12})
    method, other = bench._palr(control), bench._palr(bench.claim.rows[3])
    assert method.config == other.config
    assert method.llm.fingerprint != other.llm.fingerprint
    assert bench.kept(control, "all") != bench.kept(bench.claim.rows[3], "all")
    first, second = (LocalLM.load(palr.untrained(), dtype="float32").model.state_dict() for _ in range(2))
    pretrained = LocalLM.load(palr.LLM, dtype="float32").model.state_dict()
    assert {name: value.shape for name, value in first.items()} == {n: v.shape for n, v in pretrained.items()}
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["model.embed_tokens.weight"], pretrained["model.embed_tokens.weight"])


def test_a_reranker_hears_the_language_model_of_the_row_it_is_named_after(bench: palr.Bench) -> None:
    pytest.importorskip("lightgbm", reason="pip install lightgbm")
    queries = [case.query for case in bench.split.test[:3]]
    retriever, default = bench._model("popularity", {}), bench.claim.rows[3]
    method = bench._palr(default)
    deaf = Reranker(retriever, 12).fit(bench.split)
    heard = Reranker(retriever, 12, heard=method.reading.answers).fit(bench.split)
    said = standard(method.reading.answers(queries)[:, 1])
    (pools, whole), (_, less) = heard._tables(queries), deaf._tables(queries)
    for row, pool, table, before in zip(said, pools, whole, less, strict=True):
        np.testing.assert_allclose(table[:, :-2], before)
        np.testing.assert_allclose(table[:, -1], row[pool], atol=1e-5)
    assert len(bench._system(heard_by(default)).score(queries)) == 3
    assert list(bench.methods.values()) == [method], "not tuned again"


def test_another_model_is_believed_as_far_as_validation_shows(bench: palr.Bench) -> None:
    right = {case.query: case.positive for case in bench.split.valid}

    class Knows:
        def score(self, queries: Sequence[Query]) -> FloatArray:
            said = np.zeros((len(queries), bench.split.dataset.n_items), np.float32)
            said[np.arange(len(queries)), [right[query] for query in queries]] = 1
            return said

    popular = bench._model("popularity", {})
    told = ProfileMatch(popular, 44, second=cast(CollaborativeModel, Knows())).fit(bench.split)
    assert told.weights.model > 0
    assert ProfileMatch(popular, 44).fit(bench.split).weights.model == 0


def test_another_model_may_speak_in_the_language_model_s_place(bench: palr.Bench) -> None:
    queries = [case.query for case in bench.split.test[:6]]
    retriever, popular = bench._retriever(), bench._model("popularity", {})
    alone, both = ProfileMatch(retriever, 12), ProfileMatch(retriever, 12, second=popular)
    for one in (alone, both):
        one.fit(bench.split)
        one.weights = Weights(retriever=1, match=2)
    both.weights = Weights(retriever=1, match=2, model=3)
    less, more = alone._features(queries), both._features(queries)
    for row, other, said in zip(less, more, popular.score(queries), strict=True):
        np.testing.assert_allclose(alone.weights.score(row) + 3 * said, both.weights.score(other), atol=1e-4)
    for scores, query in zip(both.score(queries), queries, strict=True):
        assert (scores > 0).sum() == 12
        assert (scores[list(query.history)] < 0).all()


def test_the_sample_is_always_the_same(bench: palr.Bench) -> None:
    np.testing.assert_array_equal(bench.parts["sample"], palr.Bench("films", palr.line([])).parts["sample"])
    users = {bench.split.test[at].query.user for at in untouched(bench.split)}
    assert len(users) == 38  # of 48, a fifth was tuned on


def test_withheld_items_are_ranked_among_themselves(bench: palr.Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = Claim(
        lambda: chains().dataset.split("unseen-items", k_core=0, share=0.3), (Retriever(("popularity",)),),
        (palr.Row("popularity", "trivial", "popularity"),), "popularity", {}, unseen=True,
    )  # fmt: skip
    monkeypatch.setitem(palr.CLAIMS, "unseen", claim)
    unseen = palr.Bench("unseen", palr.line([]))
    unseen.measure(claim.rows[0])
    (written, *_) = unseen.write()
    (row,) = evaluate.read_result(written).rows
    n = len(palr.withheld(unseen.split))
    assert row.metrics["hr@10"] == pytest.approx(min(1, 10 / n))  # who knows nothing guesses


def test_the_retriever_is_the_best_on_validation(
    bench: palr.Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    both = Retriever(("sasrec", "popularity"), SASREC.settings)
    claim = dataclasses.replace(bench.claim, retrievers=(both, Retriever(("popularity",))), chosen="films")
    with pytest.raises(SystemExit, match="palr_retrievers films"):
        retrievers.chosen(claim)
    monkeypatch.setitem(retrievers.CHOICES, "films", claim)
    retrievers.main(["films"])
    written = evaluate.read_result(retrievers.result("films"))
    assert written.part == "valid"
    assert [row.system for row in written.rows] == ["SASRec + popularity", "popularity"]
    best = max(written.rows, key=lambda row: row.metrics["ndcg@10"])
    assert retrievers.chosen(claim).name == written.focus == best.system
    monkeypatch.setattr(CollaborativeModel, "fit", lambda *arguments, **options: pytest.fail("fitted again"))
    assert retrievers.fitted("sasrec", SASREC.settings["sasrec"], bench.split).known_items.any()


def test_every_choice_has_names_of_its_own() -> None:
    for claim in CLAIMS.values():
        names = [one.name for one in claim.retrievers]
        assert len(set(names)) == len(names)
        assert not claim.chosen or claim.chosen in retrievers.CHOICES


@pytest.mark.data
def test_the_papers_counts_hold(real_data: Path) -> None:
    assert beauty().n_items == 12_101
    assert ml1m().n_users == 6_040
