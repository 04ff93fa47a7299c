from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score, top_k_accuracy_score

from tastemaker.errors import UsageError
from tastemaker.evaluate.metrics import Metric, metric, registry
from tastemaker.evaluate.ranking import place, ranks_of

SPELLINGS = ["hr@1", "hr@5", "hr@30", "ndcg@1", "ndcg@10", "ndcg", "mrr@10", "mrr", "mean_rank"]


def values(spelling: str, scores: np.ndarray, positives: np.ndarray) -> np.ndarray:
    scores, positives = np.asarray(scores, dtype=np.float32), np.asarray(positives, dtype=np.int32)
    outcomes = place(scores, positives)
    return metric(spelling).values(ranks_of(outcomes | {"valid": outcomes["answered"]}))


def by_hand(spelling: str, scores: np.ndarray, positive: int) -> float:
    """The mean over every order in which ties may be broken, straight from the definitions."""
    stem, _, cutoff = spelling.partition("@")
    k = int(cutoff) if cutoff else len(scores)
    results = []
    for order in itertools.permutations(range(len(scores))):
        if any(scores[a] < scores[b] for a, b in itertools.pairwise(order)):
            continue
        rank = order.index(positive) + 1
        found = {"hr": 1.0, "ndcg": 1 / math.log2(rank + 1), "mrr": 1 / rank}.get(stem, 0.0)
        results.append(float(rank) if stem == "mean_rank" else found if rank <= k else 0.0)
    return sum(results) / len(results)


@settings(max_examples=60)
@given(scores=st.lists(st.integers(0, 3), min_size=1, max_size=6), data=st.data())
def test_metrics_equal_the_mean_over_all_ways_to_break_ties(scores: list[int], data: st.DataObject) -> None:
    positive = data.draw(st.integers(0, len(scores) - 1))
    for spelling in SPELLINGS:
        ours = values(spelling, np.array([scores]), np.array([positive]))[0]
        assert ours == pytest.approx(by_hand(spelling, np.array(scores), positive), abs=1e-9)


@pytest.mark.parametrize("ties", [False, True])
def test_ndcg_equals_scikit_learn_on_2000_cases(ties: bool) -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 8, size=(2000, 20)) if ties else rng.normal(size=(2000, 20))
    positives = rng.integers(20, size=2000)
    relevant = np.eye(20)[positives]
    for k in (1, 5, 10, 20):
        theirs = ndcg_score(relevant, np.float32(scores), k=k)
        assert values(f"ndcg@{k}", scores, positives).mean() == pytest.approx(theirs, abs=1e-9)


def test_hr_and_mrr_equal_scikit_learn_without_ties() -> None:
    rng = np.random.default_rng(1)
    scores, positives = rng.normal(size=(2000, 20)), rng.integers(20, size=2000)
    for k in (1, 3, 10):
        theirs = top_k_accuracy_score(positives, scores, k=k, labels=range(20))
        assert values(f"hr@{k}", scores, positives).mean() == pytest.approx(theirs, abs=1e-9)
    theirs = label_ranking_average_precision_score(np.eye(20)[positives], scores)
    assert values("mrr", scores, positives).mean() == pytest.approx(theirs, abs=1e-9)


def test_a_large_catalogue_loses_no_precision() -> None:
    scores = np.arange(50_000, 0, -1)[None, :]
    assert values("mrr", scores, np.array([49_999]))[0] == pytest.approx(1 / 50_000, abs=1e-12)
    assert values("ndcg", scores, np.array([49_999]))[0] == pytest.approx(1 / math.log2(50_001), abs=1e-12)


@pytest.mark.parametrize("slot", range(20))
def test_scoring_everything_alike_gets_what_guessing_gets(slot: int) -> None:
    same = np.zeros((1, 20))
    assert values("hr@1", same, np.array([slot]))[0] == pytest.approx(1 / 20)
    assert values("hr@5", same, np.array([slot]))[0] == pytest.approx(5 / 20)
    assert values("mean_rank", same, np.array([slot]))[0] == pytest.approx(10.5)


def test_no_answer_is_a_miss_and_stays_in_the_denominator() -> None:
    scores = np.array([[2.0, 1.0, 0.0], [np.nan, np.nan, np.nan]])
    positives = np.array([0, 0])
    assert values("hr@1", scores, positives).tolist() == [1.0, 0.0]
    assert values("hr@3", scores, positives).tolist() == [1.0, 0.0]
    assert values("mrr", scores, positives).tolist() == [1.0, 0.0]
    assert values("mean_rank", scores, positives).tolist() == [1.0, 3.0]
    assert values("valid_ratio", scores, positives).tolist() == [1.0, 0.0]


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 30))
def test_gains_lie_between_0_and_1_and_grow_with_the_cutoff(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    scores, positives = rng.integers(0, n, size=(7, n)), rng.integers(n, size=7)
    for stem in ("hr", "ndcg", "mrr"):
        rows = np.stack([values(f"{stem}@{k}", scores, positives) for k in range(1, n + 1)])
        assert (rows >= 0).all()
        assert (rows <= 1 + 1e-12).all()
        assert (np.diff(rows, axis=0) >= -1e-12).all()


def test_every_metric_file_is_found_and_named_after_its_file() -> None:
    names = registry.names()
    assert {"hr", "ndcg", "mrr", "mean-rank", "valid-ratio"} <= set(names)
    for name in names:
        cutoff = "@3" if registry.get(name).cutoff == "required" else ""
        found = metric(name + cutoff)
        assert isinstance(found, Metric)
        assert found.name == name.replace("-", "_") + cutoff


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ("hr", "needs a cut-off; write hr@10"),
        ("hr@0", "must be 1 or more"),
        ("hr@ten", "must be a whole number"),
        ("hr@", "must be a whole number"),
        ("ndcg@-1", "must be a whole number"),
        ("mrr@1.5", "must be a whole number"),
        ("mean_rank@3", "takes no cut-off"),
        ("ndgc@10", "did you mean 'ndcg'"),
        ("", "no metric named"),
    ],
)
def test_a_misspelt_metric_is_one_clear_line(spelling: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        metric(spelling)
    assert "\n" not in str(caught.value)
