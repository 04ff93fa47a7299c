"""A split that is saved and loaded again is the same split, whatever rule made it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from films import films_split
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker import artifacts
from tastemaker.data import AnySplit, Dataset, PreferenceSplit, Split, comes_split, load_dataset, load_split, save_split
from tastemaker.data import splits as rules
from tastemaker.errors import ArtifactError, ConfigError, UsageError
from tastemaker.testing.preferences import opinions
from tastemaker.types import Item, Query

DAYS = st.integers(1, 400).map(lambda day: day * 86_400)
ROW = st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcdefgh"), st.integers(1, 5), DAYS)
LOOSE: dict[str, dict[str, Any]] = {
    "leave-one-out": {"k_core": 0, "repeats": "keep"},
    "unseen-items": {"k_core": 0, "share": 0.5},
    "user-ratio": {"valid": 0, "min_history": 1},
    "last-windows": {"train": 2, "valid": 1, "test": 1, "window": 2},
    "time": {"train_months": None, "skip_last": 0, "valid_months": 1, "test_months": 1},
}
"""Settings under which small data is split at all."""


def again(split: AnySplit, folder: Path) -> AnySplit:
    save_split(split, folder)
    assert comes_split(folder)
    return load_split(folder)


def require_equal(back: AnySplit, split: AnySplit) -> None:
    assert (back.hash, back.name, dict(back.settings)) == (split.hash, split.name, dict(split.settings))
    assert back.counts() == split.counts()
    assert (back.valid, back.test) == (split.valid, split.test)
    assert (back.dataset.hash, back.dataset.arrivals) == (split.dataset.hash, split.dataset.arrivals)
    assert back.dataset.titles == split.dataset.titles
    if isinstance(split, Split):
        assert isinstance(back, Split)
        assert back.train.equals(split.train)
    else:
        assert back.train == split.train


@settings(max_examples=15)
@given(rows=st.lists(ROW, min_size=1, max_size=60), rule=st.sampled_from(rules.names()))
def test_any_split_is_read_back_equal(tmp_path: Path, rows: list[tuple[Any, ...]], rule: str) -> None:
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "time"], orient="row")
    items = pl.DataFrame({"item_id": ["h", "q"], "title": ["Heat", "Q"], "genres": [["Crime"], None]})
    try:
        split = Dataset.from_frames(frame, items, name="any").split(rule, **LOOSE.get(rule, {}))
    except UsageError:
        return  # too little to be split so
    require_equal(again(split, Path(tempfile.mkdtemp(dir=tmp_path)) / "split"), split)


@pytest.mark.parametrize("rule", rules.names())
def test_every_rule_is_read_back_equal(tmp_path: Path, rule: str) -> None:
    split = opinions().dataset.split(rule, **LOOSE.get(rule, {}))
    require_equal(again(split, tmp_path / "split"), split)


def test_a_question_of_nobody_or_of_several_answers_is_kept(tmp_path: Path) -> None:
    split = films_split()
    query = Query((Item(1), Item(0)))
    cases = tuple(replace(case, query=query) for case in split.test[:3])
    back = again(replace(split, valid=(), test=cases), tmp_path / "split")
    assert back.test == cases
    assert back.test[0].query is back.test[2].query
    judged = opinions()
    nobody = replace(judged.test[0], query=replace(judged.test[0].query, user=None, time=None))
    whole = again(replace(judged, test=(nobody,)), tmp_path / "judged")
    assert isinstance(whole, PreferenceSplit)
    assert whole.test == (nobody,)


def test_the_dataset_lies_inside(tmp_path: Path) -> None:
    split = films_split()
    save_split(split, tmp_path / "split")
    assert load_dataset(tmp_path / "split").hash == load_dataset(tmp_path / "split" / "dataset").hash
    assert sorted(path.name for path in (tmp_path / "split").iterdir()) == [
        "dataset", "manifest.json", "split.json", "test.parquet", "train.parquet", "valid.parquet",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="was saved as a split and is read as it is; leave out columns"):
        load_split(tmp_path / "split", columns={"time": "when"})


def kept(split: Split, path: Path, **changes: Any) -> None:
    """The split as saved, with other tables or facts under a manifest that is right."""
    save_split(split, path)
    found = artifacts.load(path, "split")
    frames = {part: changes.get(part, found.frame(part)) for part in ("train", "valid", "test")}
    about = {**found.json("split"), **changes.get("about", {})}
    split.dataset.save(path.parent / "inside")
    parts = {"dataset": path.parent / "inside"}
    artifacts.save(path, kind="split", json={"split": about}, frames=frames, parts=parts)


def test_what_was_changed_is_refused(tmp_path: Path) -> None:
    split, path = films_split(), tmp_path / "split"
    save_split(split, path)
    test = pl.read_parquet(path / "test.parquet")
    stranger = test.with_columns(item_id=pl.lit("nothing"))
    for changes in (
        {"test": stranger},
        {"test": test.drop("history")},
        {"valid": test.with_columns(history=pl.lit(None, pl.List(pl.String)))},
        {"train": pl.DataFrame({"user_id": ["nobody"], "item_id": ["f1"], "rating": [None], "time": [1]})},
        {"about": {"settings": 3}},
    ):
        kept(split, path, **changes)
        with pytest.raises(ArtifactError, match="not a split that this version reads"):
            load_split(path)
    for changes in ({"test": test.reverse()}, {"about": {"split": "time"}}):
        kept(split, path, **changes)
        with pytest.raises(ArtifactError, match="its tables are not those of the split it names"):
            load_split(path)
    save_split(split, path)
    (path / "train.parquet").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"train\.parquet"):
        load_split(path)


def test_settings_survive_json(tmp_path: Path) -> None:
    split = replace(films_split(), settings={"a": 0.1, "b": 4.0, "c": "x", "d": 3})
    assert again(split, tmp_path / "split").hash == split.hash
    assert json.loads((tmp_path / "split" / "split.json").read_text())["settings"]["a"] == 0.1
