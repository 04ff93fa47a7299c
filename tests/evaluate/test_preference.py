"""Yes/no questions are judged over all rows and within users, exactly with ties, with intervals by user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opinions import opinions_split
from rich.console import Console
from sklearn.metrics import log_loss, ndcg_score, roc_auc_score

from tastemaker.data.preference import labels
from tastemaker.errors import UsageError
from tastemaker.evaluate import System, combine, evaluate, read_evaluation, render_report, result_of, write_result
from tastemaker.evaluate.judged import Judged
from tastemaker.evaluate.metrics import preference_metric, rank_metric
from tastemaker.evaluate.pages import results_md
from tastemaker.evaluate.protocols import protocol
from tastemaker.evaluate.terminal import ResultTable
from tastemaker.types import FloatArray, Query


def judged(rows: list[tuple[int, float, bool]], n_users: int = 5) -> Judged:
    users, scores, liked = zip(*rows, strict=True)
    return Judged(np.array(users), np.array(scores, dtype=np.float64), np.array(liked), n_users)


def value(name: str, found: Judged, weights: np.ndarray | None = None) -> float:
    return float(preference_metric(name).of(found, found.once() if weights is None else weights[None, :])[0])


ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3).map(float), st.booleans()), min_size=1, max_size=40)


@settings(max_examples=150)
@given(rows=ROWS)
def test_auc_is_scikit_learns_also_within_users(rows: list[tuple[int, float, bool]]) -> None:
    found = judged(rows)
    own = {}
    for user in range(5):
        scores, liked = found.scores[found.users == user], found.liked[found.users == user]
        if 0 < liked.sum() < len(liked):
            own[user] = roc_auc_score(liked, scores)
    if len(set(found.liked.tolist())) == 2:
        assert value("auc", found) == pytest.approx(roc_auc_score(found.liked, found.scores), abs=1e-12)
    else:
        assert np.isnan(value("auc", found))
    assert found.usable.nonzero()[0].tolist() == sorted(own)
    if own:
        assert value("uauc", found) == pytest.approx(np.mean(list(own.values())), abs=1e-12)
    else:
        assert np.isnan(value("uauc", found))


@settings(max_examples=100)
@given(rows=ROWS, data=st.data())
def test_a_user_drawn_twice_counts_as_two_users(rows: list[tuple[int, float, bool]], data: st.DataObject) -> None:
    times = data.draw(st.lists(st.integers(0, 3), min_size=5, max_size=5))
    found = judged(rows)
    again = [(100 * copy + user, score, liked) for user, score, liked in rows for copy in range(times[user])]
    if not again:
        return
    numbers = {user: at for at, user in enumerate(dict.fromkeys(user for user, _, _ in again))}
    repeated = judged([(numbers[user], score, liked) for user, score, liked in again], len(numbers))
    for name in ("auc", "uauc", "undcg", "log_loss"):
        one, other = value(name, found, np.array(times, dtype=np.float64)), value(name, repeated)
        assert one == pytest.approx(other, abs=1e-9, nan_ok=True), name


def test_ndcg_within_users_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    rows = [
        (int(u), float(s), bool(y))
        for u, s, y in zip(np.arange(400) % 8, rng.integers(0, 9, 400), rng.random(400) < 0.4, strict=True)
    ]
    found = judged(rows, 8)
    theirs = [ndcg_score([found.liked[found.users == u]], [found.scores[found.users == u]]) for u in range(8)]
    assert value("undcg", found) == pytest.approx(np.mean(theirs), abs=1e-12)


def test_log_loss_is_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    rows = [(0, float(score), bool(rng.random() < 0.5)) for score in rng.normal(size=50)]
    found = judged(rows)
    assert value("log_loss", found) == pytest.approx(log_loss(found.liked, 1 / (1 + np.exp(-found.scores))), abs=1e-9)


def test_many_resamples_are_cut_into_chunks_without_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    found = judged(
        [
            (int(u), float(s), bool(u % 2 ^ (s > 0.3)))
            for u, s in zip(rng.integers(5, size=60), rng.random(60), strict=True)
        ]
    )
    weights = rng.multinomial(5, np.full(5, 0.2), size=40).astype(np.float64)
    whole = found.auc(weights)
    monkeypatch.setattr("tastemaker.evaluate.judged._CHUNK", 130)
    np.testing.assert_array_equal(found.auc(weights), whole)


def test_metrics_of_one_kind_of_question_are_not_asked_of_the_other() -> None:
    with pytest.raises(UsageError, match="ranked lists"):
        preference_metric("hr@1")
    with pytest.raises(UsageError, match="yes-or-no"):
        rank_metric("auc")


SPLIT = opinions_split()


def parity(name: str = "parity", kind: str = "llm", **more: object) -> System:
    """Right about everybody."""

    def score(queries: list[Query]) -> list[FloatArray]:
        return [np.float32([2.0 if (int(q.user or 0) + q.candidates[0]) % 2 == 0 else -2.0]) for q in queries]

    return System(name, kind, score, **{"probabilities": True, **more})  # type: ignore[arg-type]


def generous(name: str = "generous", kind: str = "trivial") -> System:
    """Likes users of high number, and knows no items."""
    return System(name, kind, lambda queries: [np.float32([float(q.user or 0)]) for q in queries])  # type: ignore[arg-type]


def test_a_table_has_every_metric_slice_and_pair() -> None:
    found = evaluate(SPLIT, [generous(), parity()], "collm")
    trivial, right = found.rows
    assert right.metrics == pytest.approx({"auc": 1.0, "uauc": 1.0, "undcg": 1.0, "log_loss": np.log1p(np.exp(-2))})
    assert trivial.metrics == pytest.approx({"auc": 0.5, "uauc": 0.5, "undcg": (1 + 1 / np.log2(3)) / 2})
    assert right.ci95["auc"] == (1.0, 1.0)
    assert right.calibration is not None
    assert right.calibration.ece == pytest.approx(1 / (1 + np.exp(2)))
    assert trivial.calibration is None
    slices = {one.name: one for one in right.slices}
    assert (slices["warm (1)"].n, slices["cold (1)"].n, slices["warm user (3)"].n, slices["cold item (1)"].n) == (
        0,
        16,
        16,
        16,
    )
    assert slices["warm (1)"].metrics == {}
    assert slices["cold (1)"].usable == 8
    assert [(p.b, p.metric, p.delta, p.best_non_llm, p.test) for p in found.paired] == [
        ("generous", "auc", 0.5, True, "bootstrap"),
        ("generous", "uauc", 0.5, True, "bootstrap"),
    ]
    assert all(p.p_holm == pytest.approx(2 * 2 / 10_001) for p in found.paired)


def test_resamples_of_many_users_are_never_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def uneven(queries: list[Query]) -> list[FloatArray]:
        return [np.float32([(7 * int(q.user or 0) + 3 * q.candidates[0]) % 5]) for q in queries]

    systems = [System("uneven", "trivial", uneven), parity()]
    whole, sizes = evaluate(SPLIT, systems, "collm"), list[int]()

    def told(found: Any) -> list[float]:
        ends = [x for row in found.rows for interval in row.ci95.values() for x in interval]
        return ends + [x for pair in found.paired for x in (*pair.ci95, pair.p)]

    expected = told(whole)

    def spied(self: Judged, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        sizes.append(weights.size)
        return mean(self, values, weights)

    mean = Judged.mean
    monkeypatch.setattr(Judged, "mean", spied)
    monkeypatch.setattr("tastemaker.evaluate.preference_evaluation._CELLS", 24_000, raising=False)
    again = evaluate(SPLIT, systems, "collm")
    assert told(again) == pytest.approx(expected, abs=1e-12)
    assert max(sizes) <= 24_000


def test_who_has_one_kind_of_answer_only_is_counted_out() -> None:
    from dataclasses import replace

    rows = tuple(row for row in SPLIT.test if not (row.query.user == 3 and row.liked))
    found = evaluate(replace(SPLIT, test=rows), [generous()], "tallrec")
    assert found.remarks[0] == (
        "uauc and undcg are means over 7 of 8 users; the rows of 1 are all liked or all disliked."
    )
    assert found.rows[0].slices == ()
    leaky = replace(SPLIT, test=(*rows, rows[0]))
    assert any("an earlier row" in remark for remark in evaluate(leaky, [generous()], "collm").remarks)


def test_seeds_are_averaged_and_shown() -> None:
    wrong = System("net", "llm", lambda queries: [-row for row in parity().score(queries)], seed=1, probabilities=True)
    found = evaluate(SPLIT, [generous(), parity("net", seed=0), wrong], "collm")
    row = found.rows[1]
    assert row.by_seed["auc"] == (1.0, 0.0)
    assert row.metrics["auc"] == 0.5
    assert row.seeds == (0, 1)


def test_an_evaluation_is_kept_read_back_and_joined(tmp_path: Path) -> None:
    one = evaluate(SPLIT, [generous()], "collm")
    write_result(one, tmp_path / "one.json", "tastemaker evaluate")
    again = read_evaluation(tmp_path / "one.json")
    assert (again.rows, again.remarks) == (one.rows, one.remarks)
    both = combine([again, evaluate(SPLIT, [parity()], "collm")])
    assert [row.system for row in both.rows] == ["generous", "parity"]
    outcomes = pl.read_parquet(tmp_path / "one.parquet")
    assert outcomes["liked"].to_numpy().tolist() == labels(SPLIT.test).tolist()
    assert outcomes["user_count"].unique().to_list() == [3]


def test_every_page_shows_it(tmp_path: Path) -> None:
    result = write_result(evaluate(SPLIT, [generous(), parity()], "collm"), tmp_path / "mine.json", "x")
    console = Console(width=220, record=True)
    console.print(ResultTable(result))
    html, text, page = render_report([result]), console.export_text(), results_md(tmp_path)
    for shown in (html, text, page):
        assert "8 of 8 users" in shown
        assert "cold user (3)" in shown
        assert "uauc" in shown
    assert "chance 0.500" in html
    assert page.count("| parity less |") == 2
    assert result_of(evaluate(SPLIT, [generous()], "collm"), "x").paired == ()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(bad: float) -> None:
    broken = System("broken", "llm", lambda queries: [np.float32([bad]) for _ in queries])
    with pytest.raises(UsageError, match="'broken' gave NaN or infinite"):
        evaluate(SPLIT, [broken], "collm")
    two = System("two", "llm", lambda queries: [np.float32([0, 1]) for _ in queries])
    with pytest.raises(UsageError, match="one score for the one candidate"):
        evaluate(SPLIT, [two], "collm")


def test_a_protocol_judges_only_the_questions_it_asks() -> None:
    with pytest.raises(UsageError, match="asks what is liked, which is not what protocol 'llara' judges"):
        evaluate(SPLIT, [generous()], "llara")
    with pytest.raises(UsageError, match="ranked lists"):
        evaluate(SPLIT, [generous()], protocol("collm").model_copy(update={"metrics": ("hr@1",)}))
