"""The yes/no splits the papers released give their counts and what counting alone reaches on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tastemaker.collab import pointwise
from tastemaker.data import PreferenceSplit, load_dataset, load_split
from tastemaker.data.preference import labels
from tastemaker.data.sources import cache_dir
from tastemaker.evaluate import System, evaluate
from tastemaker.evaluate.preference_evaluation import PreferenceEvaluation
from tastemaker.evaluate.result import Row

pytestmark = pytest.mark.data


def released(name: str, folder: Path, **options: object) -> PreferenceSplit:
    split = load_split(name, folder / name, **options)
    assert isinstance(split, PreferenceSplit)
    return split


def judged(split: PreferenceSplit, protocol: str, part: str = "test", **settings: dict[str, object]) -> dict[str, Row]:
    """Each model's row; the intervals cost a second each, so none is drawn more than once."""
    systems = [
        System.of_pointwise(name, pointwise.models.get(name.split(":")[0])(**given).fit(split), "trivial")
        for name, given in settings.items()
    ]
    found = evaluate(split, systems, protocol, part="test" if part == "test" else "valid")
    assert isinstance(found, PreferenceEvaluation)
    return {row.system: row for row in found.rows}


def near(row: Row, **metrics: float) -> None:
    for name, value in metrics.items():
        tolerance = 1e-3 if name == "undcg" else 6e-5  # published figures break ties by file order in ndcg
        assert row.metrics[name] == pytest.approx(value, abs=tolerance), name


def test_collms_movielens_split(real_data: Path) -> None:
    split = released("collm-ml-1m", real_data)
    counts = split.counts()
    parts = ("train", "valid", "test")
    assert [counts[f"{part}_rows"] for part in parts] == [33_891, 10_401, 7_331]
    assert [counts[f"{part}_users"] for part in parts] == [740, 356, 320]
    assert [counts[f"{part}_items"] for part in parts] == [3_087, 2_506, 2_203]
    rates = [counts[f"{part}_liked"] / counts[f"{part}_rows"] for part in parts]
    assert rates == pytest.approx([0.53675, 0.52831, 0.54536], abs=5e-6)
    assert len(released("collm-ml-1m", real_data, valid="small").valid) == 5_200
    assert sum(not row.query.history for row in split.test) / 7_331 == pytest.approx(0.0085, abs=5e-5)
    for part in parts:
        frame = pl.read_parquet(real_data / "collm-ml-1m" / f"{part}.parquet")
        rows = getattr(split, part)
        assert [[item + 1 for item in row.query.history] for row in rows] == [h[1:] for h in frame["his"].to_list()]
        known = [bool(split.item_counts[r.item] and split.user_counts[r.query.user or 0]) for r in rows]
        assert known == (frame["not_cold"] == 1).to_list()


def test_counting_on_collms_split(real_data: Path) -> None:
    rows = judged(
        released("collm-ml-1m", real_data), "collm", **{"item-rate": {}, "user-item-rate": {}, "liked-count": {}}
    )
    near(rows["item-rate"], auc=0.7094, uauc=0.6816, undcg=0.8671)
    near(rows["user-item-rate"], auc=0.7320, uauc=0.6816)
    near(rows["liked-count"], auc=0.6568, uauc=0.6402, undcg=0.8469)
    slices = {one.name: one for one in rows["item-rate"].slices}
    assert [slices[name].n for name in ("warm (1)", "cold (1)", "warm (3)", "cold (3)")] == [4153, 3178, 3682, 3649]
    assert [slices[name].usable for name in ("warm (1)", "cold (1)", "warm (3)", "cold (3)")] == [176, 51, 158, 82]
    assert (slices["cold user (1)"].n, slices["cold user (1)"].users, slices["cold item (1)"].n) == (3111, 55, 93)
    assert slices["warm (3)"].metrics["auc"] == pytest.approx(0.7237, abs=6e-5)
    assert slices["cold (3)"].metrics["auc"] == pytest.approx(0.6928, abs=6e-5)


def test_counting_on_collms_split_when_all_labels_are_shown(real_data: Path) -> None:
    split = released("collm-ml-1m", real_data, history="all")
    rows = judged(split, "collm", **{"user-item-rate": {"users": "history"}})
    near(rows["user-item-rate"], auc=0.7686, uauc=0.6625)


def test_the_rule_makes_collms_split_of_movielens_1m(real_data: Path) -> None:
    """As far as the times of its users are known."""
    split = load_dataset("ml-1m", real_data / "ml-1m").split("time")
    assert isinstance(split, PreferenceSplit)
    for part in ("train", "valid", "test"):
        frame = pl.read_parquet(real_data / "collm-ml-1m" / f"{part}.parquet")
        theirs = set(frame.select("title", "timestamp", "label").iter_rows())
        ours = {(split.dataset.titles[r.item], int(r.query.time or 0), int(r.liked)) for r in getattr(split, part)}
        assert len(ours) > 4_000
        assert ours <= theirs


def test_tallrecs_films(real_data: Path) -> None:
    split = released("tallrec-movie", real_data)
    counts = split.counts()
    assert [counts[f"{part}_rows"] for part in ("train", "valid", "test")] == [8000, 1000, 1000]
    assert [counts[f"{part}_users"] for part in ("train", "valid", "test")] == [80, 14, 16]
    assert [labels(rows).mean() for rows in (split.train, split.valid, split.test)] == pytest.approx(
        [0.557, 0.658, 0.528], abs=5e-4
    )
    given = {"item-rate": {}, "like-share": {}, "like-share:both": {"items": "rate"}}
    rows = judged(split, "tallrec", **given)
    near(rows["like-share"], auc=0.7260)
    assert rows["item-rate"].metrics["auc"] == pytest.approx(0.672, abs=1e-3)
    assert rows["like-share:both"].metrics["auc"] == pytest.approx(0.761, abs=1e-3)
    near(judged(split, "tallrec", "valid", **{"like-share": {}})["like-share"], auc=0.6890)


def test_the_rule_makes_tallrecs_split_of_movielens_100k(real_data: Path) -> None:
    if not list(cache_dir().glob("ml-100k-*/*")):
        pytest.skip("run `tastemaker data fetch ml-100k` first")
    made = load_dataset("ml-100k").split("last-windows")
    theirs = released("tallrec-movie", real_data)
    assert isinstance(made, PreferenceSplit)
    for part in ("valid", "test"):
        for row, other in zip(getattr(made, part), getattr(theirs, part), strict=True):
            assert (
                made.dataset.users["user_id"][row.query.user or 0]
                == theirs.dataset.users["user_id"][other.query.user or 0]
            )
            assert row.query.time == other.query.time
        agree = [
            [made.dataset.titles[i] for i in row.query.history]
            == [theirs.dataset.titles[i] for i in other.query.history]
            for row, other in zip(getattr(made, part), getattr(theirs, part), strict=True)
        ]
        assert np.mean(agree) > 0.5  # what happened in one second has no order of its own


def test_tallrecs_books(real_data: Path) -> None:
    if not (real_data / "tallrec-book").is_dir():
        pytest.skip("the book files are not there")
    split = released("tallrec-book", real_data)
    assert [len(rows) for rows in (split.valid, split.test)] == [2427, 2427]
    near(judged(split, "tallrec", **{"like-share": {}})["like-share"], auc=0.6962)
    near(judged(split, "tallrec", "valid", **{"like-share": {}})["like-share"], auc=0.6872)
