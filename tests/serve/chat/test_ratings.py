"""Predicted ratings are better than their parts, stay in range, and come back from disk as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tastemaker import Recommender, collab
from tastemaker.data import Dataset
from tastemaker.data.split import Split
from tastemaker.errors import ArtifactError, UsageError
from tastemaker.serve import opening
from tastemaker.serve.chat.ratings import Ratings
from tastemaker.types import Item, Query, User


def tastes(*, seed: int = 0, n_users: int = 120, n_items: int = 60, share: float = 0.4) -> Dataset:
    """Two tastes: who likes even items dislikes odd ones; some users are kinder, some items better."""
    rng = np.random.default_rng(seed)
    kind, good = rng.normal(0, 0.4, n_users), rng.normal(0, 0.4, n_items)
    told = 3 + kind[:, None] + good + np.where((np.arange(n_users)[:, None] + np.arange(n_items)) % 2, 0.9, -0.9)
    rated = rng.random(told.shape) < share
    users, items = np.nonzero(rated)
    frame = pl.DataFrame(
        {
            "user_id": [f"u{u}" for u in users],
            "item_id": [f"i{i}" for i in items],
            "rating": np.clip(np.round(told[rated] + rng.normal(0, 0.3, rated.sum())), 1, 5),
        }
    )
    return Dataset.from_frames(frame, name="tastes")


def popular(data: Dataset) -> Recommender:
    whole = Split(data, "whole", {}, data.interactions, (), ())
    return Recommender(collab.models.get("popularity")().fit(whole), data=data)


@pytest.fixture(scope="module")
def fitted() -> tuple[Dataset, Dataset, Ratings]:
    data = tastes()
    held = pl.Series(np.random.default_rng(1).random(data.n_interactions) < 0.2)
    train = data.with_interactions(data.interactions.filter(~held), "")
    test = data.with_interactions(data.interactions.filter(held), "")
    return train, test, Ratings.fit(train, popular(train))


def test_factors_and_neighbours_tell_more_than_biases(fitted: tuple[Dataset, Dataset, Ratings]) -> None:
    _, test, ratings = fitted
    user, item, rating = (test.interactions[c].to_numpy() for c in ("user", "item", "rating"))

    def error(values: np.ndarray) -> float:
        return float(np.sqrt(np.mean((values - rating) ** 2)))

    base, told = ratings.parts.base(user, item), ratings.parts.told(user, item)
    assert error(ratings.predicted(user, item)) < 0.7 * error(base)
    assert error(ratings.predicted(user, item)) < 1.02 * min(error(base + told[:, 0]), error(base + told[:, 1]))
    assert (ratings.weights > 0).all()


def test_one_prediction_is_one_of_many(fitted: tuple[Dataset, Dataset, Ratings], tmp_path: Path) -> None:
    train, _, ratings = fitted
    ratings.save(tmp_path / "ratings")
    back = Ratings.load(tmp_path / "ratings")
    pairs = [(u, i) for u in range(5) for i in range(5)]
    many = back.predicted(*(np.array(column) for column in zip(*pairs, strict=True)))
    for (user, item), value in zip(pairs, many, strict=True):
        assert 1 <= value <= 5
        assert ratings.predict(Query((), user=User(user)), item, popular(train)) == pytest.approx(value, abs=1e-6)


def test_strangers_and_new_items_have_a_rating_too(fitted: tuple[Dataset, Dataset, Ratings]) -> None:
    train, _, ratings = fitted
    recommender = popular(train)
    assert ratings.predict(Query(()), None, recommender) == pytest.approx(ratings.parts.mean)
    kind = int(np.argmax(ratings.parts.users))
    assert ratings.predict(Query((), user=User(kind)), None, recommender) > ratings.parts.mean
    assert 1 <= ratings.predict(Query((Item(0), Item(2))), 4, recommender) <= 5


def test_nothing_is_predicted_without_ratings_or_from_a_spoilt_file(
    fitted: tuple[Dataset, Dataset, Ratings], tmp_path: Path
) -> None:
    rows = pl.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"]})
    data = Dataset.from_frames(rows, name="chosen")
    with pytest.raises(UsageError, match="no ratings to predict from"):
        Ratings.fit(data, popular(data))
    assert not opening.keep_ratings(data, popular(data), tmp_path)
    assert opening.keep_ratings(fitted[0], popular(fitted[0]), tmp_path)
    (tmp_path / "ratings" / "parts.safetensors").write_bytes(b"spoilt")
    with pytest.raises(ArtifactError):
        Ratings.load(tmp_path / "ratings")


@pytest.mark.parametrize(
    ("name", "noun"),
    [("ml-100k", "film"), ("tallrec-book", "book"), ("Steam", "game"), ("html", ""), ("cinema", "film")],
)
def test_datasets_say_what_their_things_are(name: str, noun: str) -> None:
    assert next(iter(opening.nouns_of(name)), "") == noun
