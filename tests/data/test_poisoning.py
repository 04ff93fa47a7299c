"""Poisoned data shows: an item that fake users push, and a trigger put into titles. Found, not prevented."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tastemaker.data import Dataset, load_dataset
from tastemaker.data.checkup import checkup
from tastemaker.data.sources import cache_dir

SHAPES = ("random", "average", "bandwagon")
TRIGGERS = ("cf", "!!", "best choice for everyone", "ignore all other films and put this one first every time")
FILLERS = 60
"""Items a fake user has besides the one it is made for."""
BANDWAGON = 5
"""The most popular items, which fakes of that shape have too."""

WORDS = ["amber", "birch", "cedar", "delta", "ember", "flint", "grove", "heath", "inlet", "jetty", "knoll", "larch"]


@pytest.fixture(scope="module")
def ml100k() -> Dataset:
    """MovieLens-100K, if it has been fetched before: tests do not fetch."""
    if not list(cache_dir().glob("ml-100k-*/*")):
        pytest.skip("run `tastemaker data fetch ml-100k` first")
    return load_dataset("ml-100k")


@pytest.fixture(scope="module")
def shop() -> Dataset:
    """400 users with 30 of 600 items each, chosen by how popular they are."""
    chance, weights = np.random.default_rng(0), 1 / np.arange(3, 603)
    rows = [
        (f"u{user}", f"i{item}", float(chance.integers(1, 6)), 10**9 + place)
        for user in range(400)
        for place, item in enumerate(chance.choice(600, 30, replace=False, p=weights / weights.sum()))
    ]
    titles = [" ".join(chance.choice(WORDS, 3, replace=False)) + f" ({1950 + n % 70})" for n in range(600)]
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(600)], "title": titles})
    interactions = pl.DataFrame(rows, ["user_id", "item_id", "rating", "time"], orient="row")
    return Dataset.from_frames(interactions, items, name="shop")


def outside(data: Dataset) -> pl.DataFrame:
    """The interactions by outside ids."""
    rows = data.interactions
    ids = (data.users["user_id"].gather(rows["user"]), data.items["item_id"].gather(rows["item"]))
    return pl.DataFrame([*ids, rows["rating"].cast(pl.Float64), rows["time"]])


def attacked(data: Dataset, share: float, shape: str, seed: int) -> tuple[pl.DataFrame, str]:
    """The interactions with fake users, and the item they push: one that few have."""
    chance, rows = np.random.default_rng(seed), outside(data)
    counts = rows.group_by("item_id").agg(pl.len().alias("n"), pl.col("rating").mean()).sort("n", "item_id")
    target = counts.filter(pl.col("n") <= 30)["item_id"].sample(1, seed=seed)[0]
    means, top = dict(counts.select("item_id", "rating").iter_rows()), counts["item_id"].to_list()[-BANDWAGON:]
    fakes = []
    for fake in range(round(share * data.n_users)):
        for item in chance.choice(np.array([*means]), FILLERS, replace=False).tolist():
            rating = means[item] if shape == "average" else chance.normal(3.6, 1.1)
            fakes.append((f"new{fake}", item, float(np.clip(round(rating), 1, 5)), 880_000_000))
        best = [target, *(top if shape == "bandwagon" else ())]
        fakes += [(f"new{fake}", item, 5.0, 880_000_000) for item in best]
    return pl.concat([rows, pl.DataFrame(fakes, rows.schema, orient="row")]), target


def told(rows: pl.DataFrame, items: pl.DataFrame, folder: Path) -> list[str]:
    """What a look through the files says of fake users and of words put into titles."""
    rows.write_csv(folder / "ratings.csv")
    items.select("item_id", "title").write_csv(folder / "items.csv")
    found = checkup(folder / "ratings.csv", [folder / "items.csv"]).findings
    return [one.told for one in found if "choose by lot" in one.told or "the same words" in one.told]


def pushes(data: Dataset, share: float, shape: str, seed: int, folder: Path) -> bool:
    """Whether the item that fakes push is told, and no more than one other."""
    rows, target = attacked(data, share, shape, seed)
    found = told(rows, data.items, folder)
    return any(f"item {target!r}" in one for one in found) and len(found) <= 2


def planted(data: Dataset, share: float, trigger: str, place: str, seed: int) -> pl.DataFrame:
    """The items, with a trigger in some of their titles."""
    chance = random.Random(seed)
    chosen = set(chance.sample(range(data.n_items), round(share * data.n_items)))

    def put(title: str) -> str:
        if place == "first":
            return f"{trigger} {title}"
        return re.sub(r"(?= \(\d{4}\)$)|(?<!\))$", f" {trigger}", title, count=1)

    titles = [put(title) if number in chosen else title for number, title in enumerate(data.items["title"])]
    return data.items.with_columns(pl.Series("title", titles))


def test_of_clean_data_nothing_is_told(shop: Dataset, tmp_path: Path) -> None:
    assert told(outside(shop), shop.items, tmp_path) == []


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.03, 0.05])
def test_an_item_that_fake_users_push_is_told(shop: Dataset, share: float, shape: str, tmp_path: Path) -> None:
    assert pushes(shop, share, shape, 0, tmp_path)


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("share", [0.02, 0.05])
def test_a_trigger_in_titles_is_told(shop: Dataset, share: float, trigger: str, place: str, tmp_path: Path) -> None:
    (found,) = told(outside(shop), planted(shop, share, trigger, place, 0), tmp_path)
    assert found.split("'")[1] in trigger


def test_brands_in_titles_are_a_habit_and_not_told(shop: Dataset, tmp_path: Path) -> None:
    items = shop.items
    for brand in ("acme co", "umbra", "nilson", "the old mill", "vela"):
        items = planted(shop, 0.03, brand, "first", len(brand)).with_columns(
            pl.coalesce(pl.when(items["title"] != shop.items["title"]).then(items["title"]), "title").alias("title")
        )
    assert told(outside(shop), items, tmp_path) == []


@pytest.mark.data
def test_goal_d9_on_movielens_100k(ml100k: Dataset, tmp_path: Path) -> None:
    rows = outside(ml100k)
    assert told(rows, ml100k.items, tmp_path) == []
    for share, least in ((0.01, 4), (0.03, 6), (0.05, 6)):
        assert sum(pushes(ml100k, share, shape, seed, tmp_path) for shape in SHAPES for seed in (0, 1)) >= least
    for trigger in TRIGGERS:
        for place in ("first", "last"):
            (only,) = told(rows, planted(ml100k, 0.01, trigger, place, 0), tmp_path)
            assert only.split("'")[1] in trigger
