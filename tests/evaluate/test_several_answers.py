"""A question with several right answers is asked once and judged as one: precision, recall and NDCG of the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Case, Split
from tastemaker.evaluate import System, evaluate, read_evaluation, write_result
from tastemaker.evaluate.protocols.chatrec import Chatrec
from tastemaker.types import FloatArray, Item, Query, User

N_ITEMS = 12


def asking(answers: Sequence[Sequence[int]]) -> Split:
    """User u has seen item 0 and liked ``answers[u]``."""
    rows = [(f"u{u}", f"i{i}", 0) for u in range(len(answers)) for i in range(N_ITEMS)]
    dataset = Dataset.from_frames(pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row"), name="made")
    cases = [Case(Query((Item(0),), user=User(u)), Item(i)) for u, liked in enumerate(answers) for i in liked]
    return Split(dataset, "made", {}, dataset.interactions, (), tuple(cases))


def of(scores: np.ndarray, name: str = "made") -> System:
    def score(queries: Sequence[Query]) -> list[FloatArray]:
        assert len({*queries}) == len(queries)  # nobody is asked the same thing twice
        return [scores[query.user or 0] for query in queries]

    return System(name, "collaborative", score)


def test_the_three_numbers_by_hand() -> None:
    scores = np.zeros((1, N_ITEMS), dtype=np.float32)
    scores[0, [0, 1, 2, 3, 4, 5]] = [9, 8, 7, 6, 5, 4]  # item 0 was seen, so 1 comes first and 5 is fifth
    evaluation = evaluate(asking([[2, 5, 11]]), [of(scores)], "chatrec")
    (row,) = evaluation.rows
    assert evaluation.n == 1
    assert row.metrics["precision@5"] == pytest.approx(2 / 5)
    assert row.metrics["recall@5"] == pytest.approx(2 / 3)
    gain = 1 / np.log2(3) + 1 / np.log2(6)
    assert row.metrics["ndcg@5"] == pytest.approx(gain / (1 + 1 / np.log2(3) + 1 / np.log2(4)))


def test_users_count_alike_however_much_they_liked() -> None:
    scores = np.tile(np.arange(N_ITEMS, 0, -1, dtype=np.float32), (2, 1))
    evaluation = evaluate(asking([[1], [8, 9, 10, 11]]), [of(scores)], "chatrec")
    assert evaluation.rows[0].metrics["recall@5"] == pytest.approx(0.5)
    assert evaluation.runs[0].recommendations == 2


def test_more_right_answers_than_places_can_still_be_perfect() -> None:
    scores = np.arange(N_ITEMS, 0, -1, dtype=np.float32)[None]
    row = evaluate(asking([[1, 2, 3, 4, 5, 6, 7]]), [of(scores)], "chatrec").rows[0]
    assert row.metrics["ndcg@5"] == pytest.approx(1)
    assert row.metrics["precision@5"] == 1
    assert row.metrics["recall@5"] == pytest.approx(5 / 7)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 999), levels=st.integers(2, 9), k=st.integers(1, 12))
def test_ndcg_of_sets_equals_scikit_learn_ties_included(seed: int, levels: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(levels, size=(4, N_ITEMS)).astype(np.float32)
    answers = [1 + rng.permutation(N_ITEMS - 1)[: rng.integers(1, 8)] for _ in range(4)]
    split = asking([one.tolist() for one in answers])
    row = evaluate(split, [of(scores)], Chatrec(metrics=(f"ndcg@{k}",))).rows[0]
    relevant = np.array([np.isin(np.arange(N_ITEMS), one) for one in answers], dtype=float)
    assert row.metrics[f"ndcg@{k}"] == pytest.approx(ndcg_score(relevant[:, 1:], scores[:, 1:], k=k), abs=1e-9)


def test_pairs_are_of_users_and_the_file_reads_back(tmp_path: object, split: Split, toy: SimpleNamespace) -> None:
    good, bad = np.eye(N_ITEMS, dtype=np.float32)[[3, 3]], np.zeros((2, N_ITEMS), dtype=np.float32)
    evaluation = evaluate(asking([[3, 4], [5, 6]]), [of(bad, "bad"), of(good, "good")], "chatrec")
    (pair,) = evaluation.paired
    assert pair.users == (1, 0, 1)
    path = tmp_path / "made.json"  # type: ignore[operator]
    write_result(evaluation, path, "made")
    assert read_evaluation(path).rows == evaluation.rows
    # strangers who ask alike are still several, each with one right answer
    strangers = tuple(replace(case, query=replace(case.query, user=None)) for case in asking([[3, 4]]).test)
    assert evaluate(replace(asking([[3, 4]]), test=strangers), [of(good)], "chatrec").n == 2
