"""Reciprocal ranks: worked by hand, and deaf to the scale of scores."""

from __future__ import annotations

import numpy as np
import pytest

from tastemaker import collab
from tastemaker.collab.rrf import RRF, reciprocal_ranks
from tastemaker.errors import ConfigError
from tastemaker.testing.collab import asked, hand_split


def test_places_are_worth_what_the_formula_says() -> None:
    first, second = np.array([[3.0, 2.0, 1.0]], np.float32), np.array([[0.0, 5.0, 5.0]], np.float32)
    found = reciprocal_ranks([first, second], k=2)
    expected = [(1 / 3 + 1 / 5) * 2 / 2, (1 / 4 + 1 / 3) * 2 / 2, (1 / 5 + 1 / 3) * 2 / 2]
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)


def test_the_scale_of_a_member_does_not_matter() -> None:
    tables = [np.random.default_rng(i).normal(size=(4, 9)).astype(np.float32) for i in range(2)]
    np.testing.assert_array_equal(reciprocal_ranks(tables), reciprocal_ranks([tables[0] * 100 - 7, tables[1]]))


def test_members_are_fitted_and_mixed() -> None:
    model = RRF(members=("cooccurrence", "popularity"), k=10).fit(hand_split())
    queries = asked("ab", "e")
    alone = [collab.models.get(name)().fit(hand_split()).score(queries) for name in ("cooccurrence", "popularity")]
    known = model.known_items
    np.testing.assert_allclose(model.score(queries)[:, known], reciprocal_ranks(alone, k=10)[:, known], rtol=1e-6)
    with pytest.raises(ConfigError, match="k"):
        RRF(k=0)
