"""A cut in time by shares: nothing later trains, one second stays together, likes are told from the ratings."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tastemaker.data import Dataset
from tastemaker.errors import ConfigError, DataError, UsageError


def rated(ratings, times=None, n_users=5):
    rows = [
        (f"u{at % n_users}", f"i{at}", rating, None if times is None else times[at])
        for at, rating in enumerate(ratings)
    ]
    schema = {"user_id": pl.String, "item_id": pl.String, "rating": pl.Float64, "time": pl.Int64}
    return Dataset.from_frames(pl.DataFrame(rows, schema=schema, orient="row"), name="rated")


def test_nothing_later_trains_and_a_second_is_not_divided():
    times = np.arange(100) // 7
    split = rated(np.tile([1, 3, 4, 5], 25), times.tolist()).split("time-quantiles")
    assert len(split.train) + len(split.valid) + len(split.test) == 100
    assert max(row.query.time for row in split.train) < min(row.query.time for row in split.valid)
    assert max(row.query.time for row in split.valid) < min(row.query.time for row in split.test)
    assert 70 <= len(split.train) <= 80


def test_what_is_liked_is_told_from_the_ratings():
    times = list(range(40))
    by_median = rated([1, 2, 3, 4, 5] * 8, times).split("time-quantiles")
    assert by_median.counts()["train_liked"] == pytest.approx(0.6 * len(by_median.train), abs=2)
    thumbs = rated([0, 0, 0, 1] * 10, times).split("time-quantiles")
    assert thumbs.counts()["train_liked"] == len(thumbs.train) // 4
    strict = rated([1, 2, 3, 4, 5] * 8, times).split("time-quantiles", min_rating=5)
    assert strict.counts()["train_liked"] < by_median.counts()["train_liked"]


@pytest.mark.parametrize(
    ("data", "settings", "error", "told"),
    [
        (rated([1, 5] * 10), {}, DataError, "time"),
        (rated([5] * 20, list(range(20))), {}, DataError, "only liked"),
        (rated([1, 5] * 10, list(range(20))), {"min_rating": 9}, DataError, "only disliked"),
        (rated([None] * 20, list(range(20))), {}, UsageError, "rating"),
        (rated([1, 5] * 10, list(range(20))), {"train": 0.9, "valid": 0.2}, ConfigError, "leave nothing to test"),
    ],
)
def test_what_cannot_be_split_is_one_line(data, settings, error, told):
    with pytest.raises(error, match=told) as refused:
        data.split("time-quantiles", **settings)
    assert "\n" not in str(refused.value)
