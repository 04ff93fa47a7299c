"""EASE and item-kNN are what one works out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tastemaker.collab import EASE, ItemKNN, Popularity, base
from tastemaker.errors import UsageError
from tastemaker.testing.collab import HAND, ITEMS, asked, checkerboard, hand_split
from tastemaker.types import Item

USERS = ("ann", "bob", "cyd", "dan")


def choices() -> np.ndarray:
    """``[user, item]`` of `HAND`, written another way."""
    return np.array([[float(any((u, i) == row[:2] for row in HAND)) for i in ITEMS] for u in USERS])


def test_ease_is_the_ridge_regression_of_each_item_on_the_others() -> None:
    model = EASE(l2=2.0).fit(hand_split())
    x = choices()
    for item in range(len(ITEMS)):
        others = np.delete(np.arange(len(ITEMS)), item)
        a = x[:, others]
        weights = np.linalg.solve(a.T @ a + 2.0 * np.eye(len(others)), a.T @ x[:, item])
        np.testing.assert_allclose(model.weights[others, item], weights, atol=1e-6)
    assert not model.weights.diagonal().any()


def test_ease_adds_up_what_each_item_of_the_history_says_once() -> None:
    model = EASE(l2=2.0).fit(hand_split())
    np.testing.assert_allclose(model.score(asked("abab"))[0, :6], (model.weights[0] + model.weights[1])[:6], atol=1e-6)


def test_ease_refuses_a_catalogue_its_matrix_has_no_room_for() -> None:
    with pytest.raises(UsageError, match=r"EASE would need 0\.0 GB for 7 items; use itemknn, or raise max_items=6"):
        EASE(max_items=6).fit(hand_split())


def test_likeness_is_a_shrunk_cosine() -> None:
    model = ItemKNN(shrinkage=1.0).fit(hand_split())
    x = choices()
    together, counts = x.T @ x, x.sum(axis=0)
    expected = together / (np.sqrt(np.outer(counts, counts)) + 1.0)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(model.similarity.toarray(), expected, atol=1e-6)
    np.testing.assert_allclose(model.score(asked("ac"))[0, :6], (expected[:, 0] + expected[:, 2])[:6], atol=1e-6)


def test_an_item_listens_to_its_nearest_neighbours_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tastemaker.collab.itemknn.BLOCK", 3)  # blocks that do not divide the catalogue
    whole, few = ItemKNN(neighbours=50).fit(checkerboard(10)), ItemKNN(neighbours=2).fit(checkerboard(10))
    kept, dense = few.similarity.toarray(), whole.similarity.toarray()
    assert ((kept > 0).sum(axis=1) == 2).all()
    np.testing.assert_allclose(np.sort(kept, axis=1)[:, -2:], np.sort(dense, axis=1)[:, -2:])
    np.testing.assert_allclose(dense, dense.T)


def test_item_knn_turns_its_table_round_once_and_not_for_each_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ItemKNN().fit(hand_split())
    again = ItemKNN()
    again.restore(model.state())
    before = model.score(asked("abab"))
    for one in (model, again):
        monkeypatch.setattr(one, "similarity", None)  # which is what is saved, not what answers
        np.testing.assert_array_equal(one.score(asked("abab")), before)


def test_scores_of_a_few_candidates_never_hold_the_catalogue_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    model, sizes, whole = Popularity().fit(hand_split()), list[int](), Popularity.score
    queries = [replace(query, candidates=(Item(2), Item(0))) for query in asked("ab", "a", "b", "ba", "abab")]
    expected = model.score_candidates(queries)
    monkeypatch.setattr(base, "CELLS", 2 * len(ITEMS) + 1, raising=False)
    monkeypatch.setattr(Popularity, "score", lambda self, some: (sizes.append(len(some)), whole(self, some))[1])
    np.testing.assert_array_equal(model.score_candidates(queries), expected)
    assert max(sizes) <= 2
