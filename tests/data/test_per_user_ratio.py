"""A share of what each user liked is held out: all of it asked for by one query, none of it known beforehand."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.data import Dataset, Split
from tastemaker.errors import DataError


def made(rows: list[tuple[object, ...]]) -> Dataset:
    return Dataset.from_frames(
        pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "time"], orient="row"), name="made"
    )


def one_user(likes: int) -> Dataset:
    return made([("u", f"i{t}", 5, t) for t in range(likes)] + [("u", "bad", 1, 99)])


def test_the_latest_fifth_is_asked_for_by_one_query() -> None:
    split = one_user(10).split("per-user-ratio")
    assert [case.positive for case in split.test] == [8, 9]
    assert [case.positive for case in split.valid] == [7]
    assert {case.query.history for case in split.test} == {tuple(range(8))}
    assert {case.query.time for case in split.test} == {8.0}
    assert split.valid[0].query.history == tuple(range(7))
    assert split.train["item"].to_list() == list(range(7))


def test_a_random_fifth_is_another_one_for_each_seed_and_leaves_the_rest_in_order() -> None:
    first, again, other = (one_user(50).split("per-user-ratio", order="random", seed=seed) for seed in (0, 0, 1))
    assert first.hash == again.hash != other.hash
    assert len(first.test) == 10
    assert len(first.valid) == 4
    history = first.test[0].query.history
    assert list(history) == sorted(history)
    assert first.test[0].query.time is None  # what is asked for is not later than what is known


def test_who_liked_too_little_only_trains() -> None:
    rows = [("v", "a", 5, 1), ("v", "b", 5, 2), *[("w", i, 4, t) for t, i in enumerate("abc")]]
    split = made(rows).split("per-user-ratio")
    assert {case.query.user for case in split.test} == {1}
    assert split.counts()["train_users"] == 2
    with pytest.raises(DataError, match="no user has three items"):
        made(rows[:2]).split("per-user-ratio")


ROWS = st.tuples(st.integers(0, 4), st.integers(0, 30), st.integers(3, 5), st.integers(0, 9))


@settings(max_examples=80)
@given(rows=st.lists(ROWS, min_size=3, max_size=90), order=st.sampled_from(["time", "random"]))
def test_every_liked_item_is_in_one_part_and_nothing_asked_for_is_known(
    rows: list[tuple[int, ...]], order: str
) -> None:
    try:
        split: Split = made(rows).split("per-user-ratio", order=order)  # type: ignore[assignment]
    except DataError:
        return
    liked = {*split.dataset.interactions.select("user", "item").iter_rows()}
    train = {*split.train.select("user", "item").iter_rows()}
    valid, test = ({(c.query.user, c.positive) for c in cases} for cases in (split.valid, split.test))
    assert train | valid | test == liked
    assert len(train) + len(valid) + len(test) == len(liked)
    for cases, known in ((split.valid, train), (split.test, train | valid)):
        for case in cases:
            assert {(case.query.user, item) for item in case.query.history} == {
                pair for pair in known if pair[0] == case.query.user
            }
