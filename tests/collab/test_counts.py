"""The count models, against values worked out by hand on the thirteen rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.collab import Cooccurrence, Popularity
from tastemaker.errors import ConfigError, DataError, UsageError
from tastemaker.testing.collab import asked, hand_split, split_of

DAY = 86_400


def test_popularity_is_the_count_whoever_asks() -> None:
    scores = Popularity().fit(hand_split()).score(asked("ab", "", "f"))
    assert scores.tolist() == [[2, 3, 3, 1, 2, 2, 0]] * 3


def test_a_half_life_halves_what_is_that_old() -> None:
    split = split_of([("u", "a", 0), ("v", "a", 10 * DAY), ("v", "b", 30 * DAY)], "ab")
    scores = Popularity(half_life_days=10).fit(split).score(asked("a", ""))
    np.testing.assert_allclose(scores, [[2**-3 + 2**-2, 1]] * 2)


def test_a_half_life_needs_times() -> None:
    frame = pl.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"]})
    split = split_of([("u", "a", 1)], "ab")
    timeless = type(split.dataset).from_frames(frame, name="timeless")
    split = type(split)(timeless, "all", {}, timeless.interactions, (), ())
    with pytest.raises(DataError, match="timeless has interactions without time; leave half_life_days out"):
        Popularity(half_life_days=1).fit(split)


@pytest.mark.parametrize("days", [0, -1, "soon"])
def test_a_half_life_is_a_positive_number(days: object) -> None:
    with pytest.raises(ConfigError, match=r"Popularity\.half_life_days"):
        Popularity(half_life_days=days)


def test_cooccurrence_is_the_cosine_of_the_hand_table() -> None:
    similarity = Cooccurrence().fit(hand_split()).similarity.toarray()
    expected = np.zeros((7, 7))
    expected[0, 1:4] = 2 / 6**0.5, 2 / 6**0.5, 1 / 2**0.5
    expected[1, 2:4] = 3 / 3, 1 / 3**0.5
    expected[2, 3] = 1 / 3**0.5
    expected[4, 5] = 4 / 2
    np.testing.assert_allclose(similarity, expected + expected.T, atol=1e-6)


def test_a_window_of_one_only_joins_neighbours() -> None:
    similarity = Cooccurrence(window=1).fit(hand_split()).similarity.toarray()
    assert similarity[0].nonzero()[0].tolist() == [1]
    assert similarity[4, 5] == pytest.approx(3 / 2)


def test_older_history_weighs_less_and_all_of_it_counts() -> None:
    model = Cooccurrence(recency=0.5).fit(hand_split())
    a, b, c = (model.similarity.toarray()[i] for i in range(3))
    np.testing.assert_allclose(model.score(asked("cab"))[0, :6], (b + 0.5 * a + 0.25 * c)[:6], atol=1e-6)


def test_users_do_not_run_into_each_other() -> None:
    model = Cooccurrence().fit(split_of([("u", "a", 1), ("v", "b", 1)], "ab"))
    assert model.similarity.nnz == 0


def test_count_models_lend_no_vectors() -> None:
    with pytest.raises(UsageError, match="Cooccurrence has no item vectors"):
        _ = Cooccurrence().fit(hand_split()).item_vectors


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abcde")), min_size=1, max_size=40), st.integers(1, 6)
)
def test_cooccurrence_equals_counting_pairs_one_by_one(pairs: list[tuple[str, str]], window: int) -> None:
    split = split_of([(user, item, time) for time, (user, item) in enumerate(pairs)], "abcde")
    expected = np.zeros((5, 5))
    for sequence in split.sequences:
        for i, one in enumerate(sequence):
            for other in sequence[i + 1 : i + 1 + window]:
                expected[one, other] += one != other
                expected[other, one] += one != other
    counts = np.bincount(split.train["item"], minlength=5).clip(min=1)
    similarity = Cooccurrence(window=window).fit(split).similarity.toarray()
    np.testing.assert_allclose(similarity, expected / np.sqrt(np.outer(counts, counts)), atol=1e-5)
