"""Items nobody has touched are found by what their texts say."""

from __future__ import annotations

import numpy as np
import pytest
from films import films_split

from tastemaker import collab
from tastemaker.errors import UsageError
from tastemaker.recommend.text import TextRetriever
from tastemaker.types import Item, Query

VECTORS = np.array([[1, 0], [2, 0.1], [0, 3], [0, 0]], dtype=np.float32)


def test_likeness_decides_and_recent_items_weigh_more() -> None:
    scores = TextRetriever(VECTORS, recency=0.5).score([Query((Item(0),)), Query((Item(2), Item(0))), Query(())])
    assert scores.shape == (3, 4)
    assert scores[0].argsort()[::-1][:2].tolist() == [0, 1]
    assert scores[1][0] > scores[1][2] > 0
    assert not scores[2].any()
    np.testing.assert_array_equal(scores[:, 3], 0)


def test_foreign_items_and_bad_vectors() -> None:
    retriever = TextRetriever(VECTORS)
    np.testing.assert_array_equal(*retriever.score([Query((Item(99), Item(0), Item(-1))), Query((Item(0),))]))
    for wrong in (VECTORS[0], VECTORS * np.nan):
        with pytest.raises(UsageError, match="finite vectors"):
            TextRetriever(wrong)


def test_mixed_with_interactions_both_are_heard() -> None:
    split = films_split()
    model = collab.models.get("cooccurrence")().fit(split)
    vectors = np.random.default_rng(0).normal(size=(split.dataset.n_items, 4)).astype(np.float32)
    query = Query((Item(1), Item(2)))
    mixed = TextRetriever(vectors).mixed(model, [query])
    assert mixed.shape == (1, split.dataset.n_items)
    unknown = np.flatnonzero(~model.known_items)
    text = TextRetriever(vectors).score([query])[0]
    order = unknown[np.argsort(-text[unknown])]
    assert (np.diff(mixed[0][order]) <= 0).all()  # among items nobody touched, text decides
