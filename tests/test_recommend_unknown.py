"""An id that nobody knows is an error, or is left out and told; never anything else."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from films import films_split

from tastemaker import Recommender, collab
from tastemaker.errors import UsageError
from tastemaker.recommend.asked import UnknownIdWarning, left_out

SPLIT = films_split()


@pytest.fixture
def recommender() -> Recommender:
    return Recommender(collab.Cooccurrence().fit(SPLIT), data=SPLIT)


def test_a_newer_item_in_a_history_may_be_skipped(recommender: Recommender) -> None:
    expected = recommender.recommend(histories=[["f1", "f2"]])
    with pytest.raises(UsageError, match="no item with id 'new'"):
        recommender.recommend(histories=[["f1", "new", "f2"]])
    with pytest.warns(UnknownIdWarning, match="1 id is not known and was left out: 'new'") as told:
        found = recommender.recommend(histories=[["f1", "new", "f2", "new"]], unknown="skip")
    assert found.equals(expected)
    assert recommender.skipped == ("new",)
    assert [one.filename for one in told] == [__file__], "the warning points to who asked"


def test_of_nothing_known_comes_what_everybody_gets(recommender: Recommender) -> None:
    with pytest.warns(UnknownIdWarning):
        found = recommender.recommend(histories={"ann": ["new"], "bob": ["f1"]}, unknown="skip", n=3)
    assert found["user_id"].to_list() == ["ann"] * 3 + ["bob"] * 3
    assert found.head(3).drop("user_id").equals(recommender.recommend(histories=[[]], n=3).drop("user_id"))


def test_unknown_users_have_no_rows_and_unknown_candidates_are_none(recommender: Recommender) -> None:
    with pytest.warns(UnknownIdWarning, match="2 ids are not known and were left out: 'u99', 'new'"):
        found = recommender.recommend(["u99", "u0"], candidates=["f20", "new"], unknown="skip")
    assert found["user_id"].to_list() == ["u0"]
    assert found["item_id"].to_list() == ["f20"]
    assert recommender.skipped == ("u99", "new"), "users first"
    with pytest.warns(UnknownIdWarning):
        assert recommender.recommend(["u0"], candidates=["new"], unknown="skip").is_empty(), "not the whole catalogue"
    with pytest.warns(UnknownIdWarning):
        assert recommender.recommend(["u99"], unknown="skip").is_empty()


def test_where_all_is_known_nothing_is_said(recommender: Recommender) -> None:
    with pytest.warns(UnknownIdWarning):
        recommender.recommend(["u99"], unknown="skip")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = recommender.recommend(["u0"], unknown="skip")
    assert recommender.skipped == (), "of the last call alone"
    assert found.equals(recommender.recommend(["u0"]))


def test_there_is_no_third_way(recommender: Recommender) -> None:
    third: Any = "ignore"
    with pytest.raises(UsageError, match="unknown is 'ignore'; it is error or skip"):
        recommender.recommend(["u0"], unknown=third)


def test_many_are_counted_and_a_few_named() -> None:
    assert left_out([str(i) for i in range(1234)]).endswith("left out: '0', '1', '2', '3', '4' and 1,229 more")
