"""What is saved is loaded again, whatever fails on the way, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from polars.testing import assert_frame_equal
from versions import leftovers, save_version, version_of

from tastemaker.artifacts import load, save
from tastemaker.errors import ArtifactError, UsageError


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save_version(tmp_path / "a", 1)
    loaded = load(tmp_path / "a", "thing")
    assert version_of(loaded) == 1
    assert loaded.names == ["config.json", "model.safetensors", "sub/table.parquet"]
    assert_frame_equal(loaded.frame("sub/table.parquet"), loaded.frame("sub/table"))
    assert leftovers(tmp_path) == []


def test_arrays_given_directly_share_one_file(tmp_path: Path) -> None:
    save(tmp_path / "a", kind="thing", arrays={"x": np.arange(3), "y": np.float32(2.5)[None], "z": {"x": np.zeros(2)}})
    loaded = load(tmp_path / "a", "thing")
    assert loaded.arrays()["x"].tolist() == [0, 1, 2]
    assert set(loaded.arrays()) == {"x", "y"}
    assert loaded.arrays("z")["x"].tolist() == [0, 0]


def test_loading_again_after_the_directory_has_changed_gives_what_was_loaded(tmp_path: Path) -> None:
    save_version(tmp_path / "a", 1)
    loaded = load(tmp_path / "a", "thing")
    save_version(tmp_path / "a", 2)
    assert version_of(loaded) == 1
    assert version_of(load(tmp_path / "a", "thing")) == 2


@settings(max_examples=40)
@given(
    arrays=st.dictionaries(
        st.text(min_size=1, max_size=8),
        arrays_of.arrays(
            st.sampled_from([np.float32, np.float64, np.float16, np.int32, np.int64, np.uint8, np.bool_]),
            arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
            elements={"allow_nan": False, "allow_infinity": False},
        ),
        max_size=3,
    ),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
    titles=st.lists(st.none() | st.text(max_size=12), max_size=5),
)
def test_any_content_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Any], value: object, titles: list[str | None]
) -> None:
    path = tmp_path_factory.mktemp("any") / "a"
    frame = pl.DataFrame({"title": titles}, schema={"title": pl.String})
    save(path, kind="thing", arrays={"m": arrays}, json={"v": value}, frames={"f": frame})
    loaded = load(path, "thing")
    assert loaded.json("v") == value
    assert_frame_equal(loaded.frame("f"), frame)
    assert loaded.arrays("m").keys() == arrays.keys()
    for name, array in loaded.arrays("m").items():
        assert array.dtype == arrays[name].dtype
        assert np.array_equal(array, arrays[name])


@pytest.mark.parametrize(
    "order",
    [np.asfortranarray, lambda a: a[::2], lambda a: a.T, lambda a: a[:, ::-1], lambda a: a.astype(">f4")],
    ids=["fortran", "strided", "transposed", "reversed", "big-endian"],
)
def test_memory_layout_does_not_matter(tmp_path: Path, order: Callable[[Any], Any]) -> None:
    array = order(np.arange(12, dtype=np.float32).reshape(4, 3))
    save(tmp_path / "a", kind="thing", arrays={"x": array})
    assert load(tmp_path / "a", "thing").arrays()["x"].tolist() == array.tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"arrays": {"x": np.array([1.0, np.nan])}}, "NaN or infinite"),
        ({"arrays": {"m": {"x": np.array([np.inf])}}}, "'x' of 'm' holds NaN or infinite"),
        ({"arrays": {"x": np.array(["text"])}}, "not of numbers"),
        ({"arrays": {"x": np.array([object()])}}, "not of numbers"),
        ({"arrays": {"x": np.zeros(1), "arrays": {"x": np.zeros(1)}}}, "share one file"),
        ({"json": {"c": {"x": float("nan")}}}, "cannot be written as JSON"),
        ({"json": {"c": {"x": object()}}}, "cannot be written as JSON"),
        ({"json": {"c": "x" * 9_000_000}}, "save it as a table"),
        ({"json": {"manifest": {}}}, "give yours another name"),
        ({"json": {"c": "\ud800"}}, "cannot be written as JSON"),
        ({"arrays": {"__metadata__": np.zeros(1)}}, "give it another name"),
    ],
)
def test_what_cannot_be_saved_faithfully_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    save_version(tmp_path / "a", 1)
    with pytest.raises(ArtifactError, match=message):
        save(tmp_path / "a", kind="thing", **content)
    assert version_of(load(tmp_path / "a", "thing")) == 1
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["../x", "/x", "a//b", "Model", "", "a/", "a\\b", "con", "x" * 70, "a/../../b", ".x"])
def test_file_names_stay_inside(tmp_path: Path, name: str) -> None:
    for content in ({"json": {name: 1}}, {"arrays": {name: {"x": np.zeros(1)}}}, {"frames": {name: pl.DataFrame()}}):
        with pytest.raises(UsageError):
            save(tmp_path / "a" / "b", kind="thing", **content)  # type: ignore[arg-type]
    assert not (tmp_path / "a").exists()


def test_only_artefacts_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    (tmp_path / "empty").mkdir()
    save_version(tmp_path / "mixed", 1)
    (tmp_path / "mixed" / "notes.txt").write_text("mine")
    for name in ("thesis", "file", "mixed"):
        with pytest.raises(ArtifactError):
            save_version(tmp_path / name, 2)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"
    assert (tmp_path / "file").read_text() == "a file"
    assert (tmp_path / "mixed" / "notes.txt").read_text() == "mine"
    save_version(tmp_path / "empty", 1)
    assert version_of(load(tmp_path / "empty", "thing")) == 1


def test_a_link_keeps_pointing_where_it_did(tmp_path: Path) -> None:
    save_version(tmp_path / "run-1", 1)
    (tmp_path / "latest").symlink_to("run-1")
    save_version(tmp_path / "latest", 2)
    assert (tmp_path / "latest").is_symlink()
    assert version_of(load(tmp_path / "run-1", "thing")) == 2


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("a", "dataset"), "a 'thing', not a 'dataset'"),
        (("b", "thing"), "no such directory"),
        (("", "thing"), "not saved by tastemaker"),
    ],
)
def test_asking_for_something_else_is_one_clear_line(tmp_path: Path, asked: tuple[str, str], message: str) -> None:
    save_version(tmp_path / "a", 1)
    with pytest.raises(ArtifactError, match=message) as raised:
        load(tmp_path / asked[0], asked[1])
    assert "\n" not in str(raised.value)


def test_asking_for_a_file_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    save_version(tmp_path / "a", 1)
    with pytest.raises(ArtifactError, match=r"has no modle.safetensors; it has config.json, model.safetensors"):
        load(tmp_path / "a", "thing").arrays("modle")
