from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from tastemaker.collab import models
from tastemaker.collab.popularity import Popularity
from tastemaker.data.candidates import CandidateSet
from tastemaker.data.split import Split
from tastemaker.errors import UsageError
from tastemaker.evaluate.evaluation import combine
from tastemaker.evaluate.protocols import protocol, registry
from tastemaker.evaluate.ranking import SCHEMA
from tastemaker.evaluate.run import evaluate
from tastemaker.evaluate.significance import wilson
from tastemaker.evaluate.system import System
from tastemaker.types import Item, Query

TWENTY = protocol("leave-one-out-20")


def few(draws: int) -> Any:
    return protocol("llara").model_copy(update={"draws": draws})


def test_the_oracle_is_always_right_and_a_constant_is_as_good_as_guessing(split: Split, toy: SimpleNamespace) -> None:
    rows = {row.system: row for row in evaluate(split, [toy.constant(), toy.oracle()], TWENTY).rows}
    assert rows["oracle"].metrics == dict.fromkeys(TWENTY.metrics, 1.0)
    assert rows["constant"].metrics["hr@1"] == pytest.approx(1 / 20)
    assert rows["constant"].metrics["mean_rank"] == pytest.approx(10.5)
    assert rows["constant"].metrics["valid_ratio"] == 1.0


def test_the_whole_catalogue_is_ranked_without_what_was_seen(split: Split, toy: SimpleNamespace) -> None:
    """A system that loves what was seen, then the right item, then item 39 ...: the seen ones do not compete."""

    def value(query: Query, items: np.ndarray) -> np.ndarray:
        return 9.0 * np.isin(items, query.history) + 5.0 * (items == query.history[-1] + 1) + 6.0 * (items == 39)

    evaluation = evaluate(split, [toy.by_item("seen", value), toy.oracle()], "leave-one-out")
    assert evaluation.candidates_hash is None
    outcomes = evaluation.outcomes.filter(pl.col("system") == "seen")
    assert outcomes["rank"].to_list() == [2.0] * 12
    assert outcomes["n"].to_list() == [40 - 5] * 12
    assert evaluation.rows[0].metrics["hr@1"] == 0.0
    assert evaluation.rows[0].metrics["mrr@10"] == 0.5
    assert evaluation.rows[0].slots is None
    sure = np.exp(6) / (np.exp(6) + np.exp(5) + 33)
    assert outcomes["confidence"].to_list() == pytest.approx([sure] * 12)


def test_what_was_seen_is_not_tied_with_either(split: Split, toy: SimpleNamespace) -> None:
    outcomes = evaluate(split, [toy.constant()], "leave-one-out").outcomes
    assert outcomes["tied"].to_list() == [34] * 12
    assert outcomes["rank"].to_list() == [18.0] * 12
    assert outcomes["hit"].to_list() == pytest.approx([1 / 35] * 12)


def test_an_item_chosen_again_still_competes(split: Split, toy: SimpleNamespace) -> None:
    again = tuple(dataclasses.replace(case, positive=case.query.history[0]) for case in split.test)
    evaluation = evaluate(
        dataclasses.replace(split, test=again),
        [toy.by_item("first seen", lambda q, i: i == q.history[0])],
        "leave-one-out",
    )
    assert evaluation.outcomes["rank"].to_list() == [1.0] * 12
    assert evaluation.outcomes["n"].to_list() == [36] * 12


def test_outcomes_are_one_row_per_system_case_and_draw(split: Split, toy: SimpleNamespace) -> None:
    outcomes = evaluate(split, [toy.half(), toy.oracle(draws=2)], few(5)).outcomes
    assert dict(outcomes.schema) == SCHEMA
    counts = outcomes.group_by("system").len().sort("system")["len"].to_list()
    assert counts == [12 * 5, 12 * 2]
    assert outcomes.select("system", "case", "draw").is_duplicated().sum() == 0
    half = outcomes.filter(pl.col("system") == "half")
    assert (half["hit"] == (half["user"] % 2 == 0)).all()


def test_every_system_sees_the_same_frozen_candidates(split: Split, toy: SimpleNamespace) -> None:
    seen: dict[str, list[tuple[Item, ...]]] = {"a": [], "b": []}

    def spy(name: str) -> System:
        def score(queries: Sequence[Query]) -> list[np.ndarray]:
            seen[name] += [q.candidates for q in queries]
            return [np.zeros(len(q.candidates), dtype=np.float32) for q in queries]

        return System(name, "llm", score)

    given = CandidateSet.draw(split.test, 40, draws=3, seed=7)
    evaluation = evaluate(split, [spy("a"), spy("b")], few(3), given)
    assert seen["a"] == seen["b"]
    assert seen["a"] == [tuple(row) for draw in given.items.tolist() for row in draw]
    assert evaluation.candidates_hash == given.hash


def test_a_system_that_scores_the_catalogue_is_asked_each_case_once(split: Split, toy: SimpleNamespace) -> None:
    """Its outcomes are those it would have had list by list, and its cost is that of what it was really asked."""
    asked: list[Query] = []

    def score(queries: Sequence[Query]) -> list[np.ndarray]:
        asked.extend(queries)
        table = np.random.default_rng(3).standard_normal((12, 40)).astype(np.float32)
        return [table[q.user][list(q.candidates)] for q in queries]

    system = System("s", "llm", score, probabilities=True)
    slow = evaluate(split, [system], few(6))
    lists = asked.copy()
    asked.clear()
    quick = evaluate(split, [dataclasses.replace(system, scores_catalogue=True)], few(6))
    assert quick.outcomes.equals(slow.outcomes)
    assert (slow.runs[0].recommendations, quick.runs[0].recommendations) == (72, 12)
    assert len(asked) == 12
    for query in asked:
        shown = {item for one in lists if one.user == query.user for item in one.candidates}
        assert set(query.candidates) == shown
        assert len(query.candidates) == len(shown)
    asked.clear()
    evaluate(split, [dataclasses.replace(system, scores_catalogue=True, draws=1)], few(6))
    assert asked == lists[:12]


def test_what_a_system_repaired_is_told_list_by_list_too(split: Split, toy: SimpleNamespace) -> None:
    def valid(queries: Sequence[Query]) -> np.ndarray:
        return np.array([0 in q.candidates for q in queries])

    system = toy.oracle(valid=valid)
    slow, quick = (evaluate(split, [dataclasses.replace(system, scores_catalogue=c)], few(6)) for c in (False, True))
    assert 0 < slow.rows[0].metrics["valid_ratio"] < 1
    assert quick.outcomes.equals(slow.outcomes)


def test_big_tests_go_in_batches_and_report_progress(toy: SimpleNamespace) -> None:
    sizes, reports = [], []

    def score(queries: Sequence[Query]) -> list[np.ndarray]:
        sizes.append(len(queries))
        return [np.zeros(20, dtype=np.float32) for _ in queries]

    large = toy.make_split(300, 400)
    evaluate(large, [System("s", "llm", score)], few(2), progress=lambda *report: reports.append(report[:3]))
    assert sum(sizes) == 600
    assert max(sizes) <= 128
    assert [done for _, done, _ in reports] == sorted(done for _, done, _ in reports)
    assert reports[-1] == ("evaluate s", 600, 600)


def test_pairs_use_the_draws_both_have(split: Split, toy: SimpleNamespace) -> None:
    """The rival is perfect in draws 0 and 1 and useless in the rest; ours was only judged on those two."""
    calls = iter(range(1000))

    def score(queries: Sequence[Query]) -> list[np.ndarray]:
        good = next(calls) < 2
        right = [(np.array(q.candidates) == (q.history[-1] + 1) % 40).astype(np.float32) for q in queries]
        return right if good else [-r for r in right]

    evaluation = evaluate(split, [System("rival", "collaborative", score), toy.oracle(draws=2)], few(10))
    assert evaluation.rows[0].metrics["hr@1"] == pytest.approx(0.2)
    [pair] = evaluation.paired
    assert (pair.draws, pair.delta, pair.p, pair.users) == (2, 0.0, 1.0, (0, 12, 0))
    assert (pair.a_mean, pair.b_mean) == (1.0, 1.0)


def test_the_focus_meets_every_other_and_the_best_row_without_a_language_model_is_marked(
    split: Split, toy: SimpleNamespace
) -> None:
    systems = [toy.oracle("other llm"), toy.constant(), toy.half(), toy.oracle("ours")]
    evaluation = evaluate(split, systems, TWENTY)
    assert [(p.a, p.b, p.best_non_llm) for p in evaluation.paired] == [
        ("ours", "half", True),
        ("ours", "constant", False),
        ("ours", "other llm", False),
    ]
    pair = evaluation.paired[0]
    assert pair.test == "mcnemar"
    assert pair.p == pytest.approx(2 * 0.5**6)
    assert pair.p_holm == pytest.approx(2 * pair.p)  # the pair with the constant has the smaller p
    assert pair.delta == 0.5
    assert pair.users == (6, 6, 0)
    assert evaluate(split, systems, TWENTY, focus="half").paired[0].b == "constant"


def test_one_draw_gives_wilson_and_several_draws_average_per_user_first(split: Split, toy: SimpleNamespace) -> None:
    [one] = evaluate(split, [toy.half()], TWENTY).rows
    assert one.ci95["hr@1"] == pytest.approx(wilson(6, 12))
    [many] = evaluate(split, [toy.half()], few(50)).rows
    assert many.metrics["hr@1"] == 0.5
    assert many.ci95["hr@1"].low == pytest.approx(one.ci95["hr@1"].low, abs=0.1)  # 600 cases would give 0.46


def test_seeds_of_one_name_become_one_row(split: Split, toy: SimpleNamespace) -> None:
    evaluation = evaluate(split, [toy.oracle("x", seed=1), toy.half("x", "llm", seed=2), toy.constant()], TWENTY)
    trivial, row = evaluation.rows
    assert trivial.seeds == ()
    assert row.seeds == (1, 2)
    assert row.metrics["hr@1"] == pytest.approx(0.75)
    assert row.by_seed["hr@1"] == (1.0, 0.5)


def test_order_of_users_does_not_matter(split: Split, toy: SimpleNamespace) -> None:
    there = evaluate(split, [toy.half(), toy.oracle()], "leave-one-out")
    back = evaluate(dataclasses.replace(split, test=split.test[::-1]), [toy.half(), toy.oracle()], "leave-one-out")
    for a, b in zip(there.rows, back.rows, strict=True):
        assert a.metrics == pytest.approx(b.metrics)
        assert np.allclose(list(a.ci95.values()), list(b.ci95.values()))
    assert there.paired == back.paired


def test_strangers_count_as_users_of_their_own(split: Split, toy: SimpleNamespace) -> None:
    evaluation = evaluate(toy.without_user(split), [toy.oracle()], TWENTY)
    assert evaluation.outcomes["user"].to_list() == [-1 - i for i in range(12)]


def test_a_system_that_does_not_answer_keeps_its_users(split: Split) -> None:
    def score(queries: Sequence[Query]) -> list[np.ndarray]:
        right = [np.array(q.candidates) == (q.history[-1] + 1) % 40 for q in queries]
        return [np.where(q.user < 3, np.nan, r).astype(np.float32) for q, r in zip(queries, right, strict=True)]

    for valid in (None, lambda queries: np.ones(len(queries), dtype=np.bool_)):
        evaluation = evaluate(split, [System("shy", "llm", score, valid=valid)], TWENTY)
        assert evaluation.outcomes["hit"].sum() == 9
        assert evaluation.rows[0].metrics["hr@1"] == pytest.approx(9 / 12)
        assert evaluation.rows[0].metrics["valid_ratio"] == pytest.approx(9 / 12)


def test_the_valid_ratio_is_that_before_the_repair(split: Split, toy: SimpleNamespace) -> None:
    system = dataclasses.replace(toy.oracle(), valid=lambda queries: np.array([q.user != 5 for q in queries]))
    [row] = evaluate(split, [system], TWENTY).rows
    assert row.metrics["valid_ratio"] == pytest.approx(11 / 12)
    assert row.metrics["hr@1"] == 1.0


def test_a_fitted_model_is_wrapped_for_lists_and_for_the_whole_catalogue(split: Split) -> None:
    system = System.of_model("popularity", Popularity().fit(split), "trivial")
    for name in ("leave-one-out", "leave-one-out-20"):
        [row] = evaluate(split, [system], name).rows
        assert 0 < row.metrics["hr@1"] < 1
        assert row.calibration is None


def test_a_position_biased_system_is_caught(toy: SimpleNamespace) -> None:
    first = System("first", "llm", lambda queries: [-np.arange(20, dtype=np.float32) for _ in queries])
    split = toy.make_split(200, 300)
    [row] = evaluate(split, [first], few(2)).rows
    assert row.slots is not None
    assert row.slots.hit == (1.0,) + (0.0,) * 19
    assert row.slots.picked == (1.0,) + (0.0,) * 19
    assert sum(row.slots.n) == 400


def test_calibration_by_hand(toy: SimpleNamespace) -> None:
    """Two in three sure of the right item for half the users, of a wrong one for the others: the gap is a sixth."""

    def value(query: Query, items: np.ndarray) -> np.ndarray:
        right = items == (query.history[-1] + 1) % 400
        chosen = right if query.user % 2 else items == items[~right][0]
        return np.log(np.where(chosen, 2 / 3, 1 / 57))

    [row] = evaluate(toy.make_split(100, 400), [toy.by_item("bold", value)], TWENTY).rows
    assert row.calibration is not None
    assert row.calibration.ece == pytest.approx(2 / 3 - 1 / 2, abs=1e-6)
    [only] = row.calibration.bins
    assert (only.n, only.hit) == (100, 0.5)
    assert only.confidence == pytest.approx(2 / 3, abs=1e-6)


def test_only_what_says_so_is_taken_for_probabilities(split: Split, toy: SimpleNamespace) -> None:
    plain = System("plain", "llm", toy.oracle().score)
    rows = evaluate(split, [toy.constant(), toy.half(), plain], TWENTY).rows
    assert {row.system: row.calibration is None for row in rows} == {"constant": True, "half": False, "plain": True}


def test_models_know_whether_their_scores_are_probabilities() -> None:
    told = {(name, loss): models.get(name)(loss=loss) for name in ("sasrec", "caser") for loss in ("softmax", "bce")}
    assert {key: model.probabilities for key, model in told.items()} == {key: key[1] == "softmax" for key in told}
    assert not any(models.get(name)().probabilities for name in ("popularity", "cooccurrence", "ensemble"))
    assert System.of_model("caser", told["caser", "softmax"]).probabilities
    assert not System.of_model("caser", told["caser", "bce"]).probabilities


def test_cost_is_per_1000_recommendations(split: Split, monkeypatch: pytest.MonkeyPatch, toy: SimpleNamespace) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr("tastemaker.evaluate.run.time.perf_counter", lambda: next(ticks))
    evaluation = evaluate(split, [toy.oracle()], few(3))
    assert evaluation.rows[0].seconds_per_1000 == pytest.approx(1000 * 3 / 36)


def test_combined_evaluations_equal_one_evaluation(split: Split, toy: SimpleNamespace) -> None:
    candidates = CandidateSet.draw(split.test, 40, draws=4)
    cheap = evaluate(split, [toy.constant(), toy.half()], few(4), candidates)
    costly = evaluate(split, [toy.half(), toy.oracle(draws=2)], few(4), candidates)
    together = combine([cheap, costly])
    once = evaluate(split, [toy.constant(), toy.half(), toy.oracle(draws=2)], few(4), candidates)
    timeless = {"seconds_per_1000": 0.0}
    assert [r.model_copy(update=timeless) for r in together.rows] == [r.model_copy(update=timeless) for r in once.rows]
    assert together.paired == once.paired
    with pytest.raises(UsageError, match="differ in their candidates_hash"):
        combine([cheap, evaluate(split, [toy.oracle()], few(2))])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda q: np.zeros(19), "shape \\(19,\\) for 20 items"),
        (lambda q: np.array([np.nan] + [0.0] * 19), "NaN or infinite"),
        (lambda q: np.array([np.inf] + [0.0] * 19), "NaN or infinite"),
    ],
)
def test_unusable_scores_are_refused_by_name(split: Split, bad: Any, message: str) -> None:
    system = System("broken", "llm", lambda queries: [bad(q).astype(np.float32) for q in queries])
    with pytest.raises(UsageError, match=f"system 'broken' gave .*{message}"):
        evaluate(split, [system], TWENTY)


def test_mistakes_are_told_before_anything_is_scored(split: Split, toy: SimpleNamespace) -> None:
    def never(queries: Sequence[Query]) -> list[np.ndarray]:
        raise AssertionError("scored")

    one = System("one", "llm", never)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"systems": []}, "no systems"),
        ({"systems": [one, one]}, "two systems are named 'one'"),
        ({"systems": [one, System("one", "trivial", never, seed=3)]}, "two systems are named 'one'"),
        ({"systems": [System("two", "magic", never)]}, "has kind 'magic'"),  # type: ignore[arg-type]
        ({"focus": "three"}, "no system named 'three'"),
        ({"protocol": "lara"}, "did you mean 'llara'"),
        ({"protocol": TWENTY.model_copy(update={"metrics": ("hr",)})}, "needs a cut-off"),
        ({"protocol": "leave-one-out", "candidates": CandidateSet.draw(split.test, 40)}, "takes no candidates"),
        ({"candidates": CandidateSet.draw(split.test[::-1], 40)}, "other cases"),
        ({"split": dataclasses.replace(split, test=())}, "has no test cases"),
    ]
    for change, message in cases:
        with pytest.raises(UsageError, match=message):
            evaluate(**({"split": split, "systems": [one], "protocol": TWENTY} | change))


def test_too_few_answers_are_refused(split: Split) -> None:
    with pytest.raises(UsageError, match="answered 0 of 12"):
        evaluate(split, [System("lazy", "llm", lambda queries: [])], TWENTY)


def test_validation_cases_can_be_judged_too(split: Split, toy: SimpleNamespace) -> None:
    short = dataclasses.replace(split, valid=split.valid[:4])
    assert evaluate(short, [toy.oracle()], TWENTY, part="valid").n == 4


def test_every_protocol_file_is_found_and_describes_itself() -> None:
    assert {"llara", "leave-one-out", "leave-one-out-20"} <= set(registry.names())
    for name in registry.names():
        assert protocol(name).name == name
        assert len(protocol(name).describe()) > 20
    llara = protocol("llara")
    assert (llara.n, llara.exclude, llara.window, llara.metrics[:2]) == (20, "window", 10, ("hr@1", "valid_ratio"))
