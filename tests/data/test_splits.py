"""Splits do what their protocol says, never leak, and are the same every time."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.data import Case, Dataset, Split, splits
from tastemaker.errors import ConfigError, DataError, UnknownNameError

SETTINGS = {"leave-one-out": {"k_core": 0}, "user-ratio": {"min_history": 1}}


def made(rows: list[tuple[object, ...]]) -> Dataset:
    columns = ["user_id", "item_id", "rating", "time"][: len(rows[0])]
    return Dataset.from_frames(pl.DataFrame(rows, schema=columns, orient="row"), name="made")


def ids(split: Split, case: Case) -> tuple[str, list[str], str]:
    items = split.dataset.items["item_id"]
    user = split.dataset.users["user_id"][case.query.user or 0]
    return user, [items[i] for i in case.query.history], items[case.positive]


def test_leave_one_out_takes_the_last_two_items() -> None:
    rows = [("u", i, 5, t) for i, t in zip("abcd", [4, 3, 2, 1], strict=True)] + [("v", "a", 5, 9), ("v", "b", 5, 10)]
    split = made(rows).split("leave-one-out", k_core=0)
    assert [ids(split, c) for c in split.valid] == [("u", ["d", "c"], "b")]
    assert [ids(split, c) for c in split.test] == [("u", ["d", "c", "b"], "a")]
    assert split.test[0].query.time == 4
    assert [s.tolist() for s in split.sequences] == [[3, 2], [0, 1]]  # v is too short to be asked, so it only trains


def test_leave_one_out_takes_the_core_first() -> None:
    square = [(u, i, 5, t) for u in "xyz" for t, i in enumerate("abc")]
    split = made([*square, ("x", "rare", 5, 99)]).split("leave-one-out", k_core=3)
    assert split.dataset.items["item_id"].to_list() == ["a", "b", "c"]
    assert [ids(split, c)[2] for c in split.test] == ["c", "c", "c"]
    with pytest.raises(DataError, match="no interactions are left"):
        made(square).split("leave-one-out", k_core=4)


def test_user_ratio_orders_users_by_their_first_good_interaction() -> None:
    rows = [(f"u{start}", f"i{t}", 5, start * 100 + t) for start in (9, 3, 7, 1, 5, 8, 2, 6, 4, 0) for t in range(5)]
    rows.append(("u9", "bad", 2, 1))  # rated below 3, so it does not make u9 an early user
    split = made(rows).split("user-ratio")
    assert [ids(split, c) for c in split.valid] == [("u8", ["i0", "i1", "i2", "i3"], "i4")]
    assert [ids(split, c) for c in split.test] == [("u9", ["i0", "i1", "i2", "i3"], "i4")]
    assert split.counts()["train_users"] == 8
    assert split.counts()["train_examples"] == 8 * 2  # min_history is 3 of 5
    assert split.dataset.n_items == 6


def test_user_ratio_leaves_out_cases_with_too_short_a_history() -> None:
    rows = [(f"u{start}", f"i{t}", 5, start * 100 + t) for start in range(20) for t in range(5 if start < 19 else 3)]
    split = made(rows).split("user-ratio")
    assert [ids(split, c)[0] for c in split.test] == ["u18"]


def test_a_repeated_item_is_no_answer_unless_asked_for() -> None:
    rows = [("u", i, 5, t) for t, i in enumerate("abcda")]
    assert ids(split := made(rows).split("leave-one-out", k_core=0), split.test[0])[2] == "d"
    kept = made(rows).split("leave-one-out", k_core=0, repeats="keep")
    assert ids(kept, kept.test[0]) == ("u", ["a", "b", "c", "d"], "a")


def test_settings_and_names_that_do_not_exist_are_refused() -> None:
    data = made([("u", i, 5, t) for t, i in enumerate("abcd")])
    with pytest.raises(ConfigError, match="no setting 'kcore'; did you mean 'k_core'"):
        data.split("leave-one-out", kcore=3)
    with pytest.raises(ConfigError, match="k_core=-1"):
        data.split("leave-one-out", k_core=-1)
    with pytest.raises(ConfigError, match="leave no users to test"):
        data.split("user-ratio", train=0.9, valid=0.2)
    with pytest.raises(UnknownNameError, match="leave-one-out"):
        data.split("leave-one")
    with pytest.raises(DataError, match="too few to split"):
        data.split("user-ratio")
    with pytest.raises(DataError, match="none can be held out"):
        made([("u", "a", 5, 1), ("u", "b", 5, 2)]).split("leave-one-out", k_core=0)
    assert {"leave-one-out", "user-ratio"} <= set(splits.names())


def test_the_hash_is_of_data_settings_and_cases() -> None:
    rows = [(u, i, 5, t) for u in "xyz" for t, i in enumerate("abcde")]
    split = made(rows).split("leave-one-out", k_core=0)
    assert split.hash == made(rows).split("leave-one-out", k_core=0).hash
    assert split.hash != made(rows).split("leave-one-out", k_core=1).hash
    assert split.hash != Split(split.dataset, split.name, split.settings, split.train, split.valid, split.test[:2]).hash
    assert (
        split.hash != Split(split.dataset, split.name, split.settings, split.train[:-1], split.valid, split.test).hash
    )


@settings(max_examples=120)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 9), st.integers(1, 5), st.integers(0, 30)), min_size=8, max_size=90
    ),
    name=st.sampled_from(sorted(SETTINGS)),
)
def test_splits_never_leak(rows: list[tuple[int, ...]], name: str) -> None:
    data = made(rows)
    try:
        split = data.split(name, **SETTINGS[name])
    except DataError:
        return
    learned = set(split.train.select("user", "item").iter_rows())
    latest = dict(split.train.group_by("user").agg(pl.col("time").max()).iter_rows())
    known = {tuple(row) for row in split.dataset.interactions.select("user", "item", "time").iter_rows()}
    assert len({c.query.user for c in split.test}) == len(split.test) > 0
    for case in (*split.valid, *split.test):
        assert case.query.history
        assert (case.query.user, case.positive) not in learned
        assert case.positive not in case.query.history
        assert (case.query.user, case.positive, case.query.time) in known
        assert case.query.time >= latest.get(case.query.user, 0)
    if name == "user-ratio":
        asked = {c.query.user for c in (*split.valid, *split.test)}
        assert asked.isdisjoint(latest)
    assert split.hash == made(rows).split(name, **SETTINGS[name]).hash
