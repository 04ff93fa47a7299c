"""The real files give the counts their papers and releases have. Needs TASTEMAKER_DATA, or data in the cache."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tastemaker.data import CandidateSet, Case, Dataset, Split, describe_split, load_dataset, load_split
from tastemaker.data.readers import ml_100k
from tastemaker.data.sources import cache_dir

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def ml100k() -> Dataset:
    """MovieLens-100K, if it has been fetched before: tests do not fetch."""
    if not list(cache_dir().glob("ml-100k-*/*")):
        pytest.skip("run `tastemaker data fetch ml-100k` first")
    return load_dataset("ml-100k")


def askers(split: Split, cases: tuple[Case, ...]) -> set[str]:
    return {split.dataset.users["user_id"][c.query.user or 0] for c in cases}


def test_movielens_100k(ml100k: Dataset, real_data: Path) -> None:
    assert (ml100k.n_users, ml100k.n_items, ml100k.n_interactions) == (943, 1682, 100_000)
    assert ml100k.hash == "94039959ac9efc9f5fcda159c9d78396b912984ad727a6a2de37cb8a9023b167"
    official = ml_100k.official_items(real_data / "llara-movielens" / "u.item")
    assert ml100k.items.select(official.columns).equals(official)


def test_leave_one_out_of_movielens_100k(ml100k: Dataset) -> None:
    split = ml100k.split("leave-one-out")
    assert len(split.test) == len(split.valid) == 943
    assert (split.dataset.n_items, split.dataset.n_interactions) == (1349, 99_287)
    drawn = CandidateSet.draw(split.test, split.dataset.n_items)
    assert drawn.items.shape == (1, 943, 20)


def test_the_released_llara_split_and_its_rule_agree(ml100k: Dataset, real_data: Path) -> None:
    released = load_split("llara-movielens", real_data / "llara-movielens")
    made = ml100k.split("user-ratio")
    for split in (released, made):
        counts = split.counts()
        assert (counts["train_users"], counts["valid_cases"], counts["test_cases"]) == (754, 94, 95)
        assert (counts["train_interactions"], counts["train_examples"]) == (68_389, 66_127)
        assert split.dataset.n_items == 1682
    assert made.dataset.n_interactions == 82_520
    assert askers(made, made.valid) == askers(released, released.valid)
    assert askers(made, made.test) == askers(released, released.test)
    assert released.dataset.titles == made.dataset.titles
    theirs = released.train.join(
        released.dataset.users.with_row_index("user").cast({"user": released.train["user"].dtype}), on="user"
    )
    ours = made.train.join(
        made.dataset.users.with_row_index("user").cast({"user": made.train["user"].dtype}), on="user"
    )
    columns = ["user_id", "item", "rating"]
    assert theirs.select(columns).sort(columns).equals(ours.select(columns).sort(columns))
    assert not [w for w in describe_split(released).warnings if "train rows of" in w or "history shown" in w]


def test_the_released_llara_split_with_the_times_of_movielens(ml100k: Dataset, real_data: Path) -> None:
    released = load_split("llara-movielens", real_data / "llara-movielens")
    timed = load_split("llara-movielens", real_data / "llara-movielens", times=ml100k)
    made = ml100k.split("user-ratio")
    assert timed.dataset.items.equals(made.dataset.items)  # the numbers of films agree
    assert (timed.valid, timed.test) == (released.valid, released.test)
    assert dated_sequences(timed) == dated_sequences(made)


def dated_sequences(split: Split) -> dict[str, tuple[list[int], list[int]]]:
    rows = split.train.group_by("user", maintain_order=True).agg("item", "time")
    return {split.dataset.users["user_id"][user]: (items, times) for user, items, times in rows.iter_rows()}


def test_movielens_1m(real_data: Path) -> None:
    data = load_dataset("ml-1m", real_data / "ml-1m")
    assert (data.n_users, data.n_interactions) == (6040, 1_000_209)
    assert data.interactions["item"].n_unique() == 3706
    counts = data.split("leave-one-out").counts()
    assert (counts["users"], counts["items"], counts["interactions"]) == (6040, 3416, 999_611)
    assert counts["test_cases"] == 6040


def test_amazon_beauty_is_read_as_a_table(real_data: Path) -> None:
    folder = real_data / "amazon-beauty"
    columns = {"user_id": "user", "item_id": "asin"}
    data = load_dataset(folder / "sequences.csv", columns=columns, items=folder / "items.csv")
    assert (data.n_users, data.n_items, data.n_interactions) == (22_363, 12_101, 198_502)
    assert sum(title.strip() == "" for title in data.items["title"]) == 7
    assert json.dumps(data.titles[0])
