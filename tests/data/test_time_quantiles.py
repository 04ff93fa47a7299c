"""A cut in time by shares: nothing later trains, one second stays together, likes are told from the ratings."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import polars as pl
import pytest

from tastemaker.data import Dataset
from tastemaker.data.splits import _judged
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


def test_whole_histories_are_refused_where_they_have_no_room_and_cut_where_one_says_so(monkeypatch):
    data = rated(np.tile([1, 3, 4, 5], 25), list(range(100)))
    whole = data.split("time-quantiles")
    monkeypatch.setattr(_judged, "MOST_SHOWN", 900, raising=False)  # five users of twenty: 950
    with pytest.raises(UsageError, match=r"up to 950 items of histories, 0 GB; set max_history"):
        data.split("time-quantiles")
    short = data.split("time-quantiles", max_history=3)
    for one, other in zip((*whole.train, *whole.test), (*short.train, *short.test), strict=True):
        assert other.query.history == one.query.history[-3:]
        assert other.query.likes == one.query.likes[-3:]


def test_a_hash_is_that_of_the_whole_list():
    split = rated(np.tile([1, 3, 4, 5], 25), list(range(100))).split("time-quantiles")
    digest = hashlib.sha256(split.dataset.hash.encode())
    digest.update(json.dumps([split.name, dict(sorted(split.settings.items()))]).encode())
    for rows in (split.train, split.valid, split.test):
        facts = [
            [r.query.user, list(r.query.history), [int(x) for x in r.query.likes], r.query.time, r.item, int(r.liked)]
            for r in rows
        ]
        digest.update(json.dumps(facts).encode())
    assert split.hash == digest.hexdigest()
