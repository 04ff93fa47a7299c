"""What is saved is loaded again, whatever fails on the way, and nothing else is."""

from __future__ import annotations

import errno
import os
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from polars.testing import assert_frame_equal

from tastemaker import atomic
from tastemaker.artifacts import Artifact, load, save, write_atomic
from tastemaker.errors import ArtifactError, UsageError


def save_version(path: Path, version: int) -> None:
    """An artefact whose every file says which version it is; version 2 also has one file more."""
    save(
        path,
        kind="thing",
        arrays={"model": {"w": np.full((3, 4), version, np.float32), "b": np.full(4, version, np.int32)}},
        json={"config": {"version": version}, **({"sub/more": version} if version == 2 else {})},
        frames={"sub/table": pl.DataFrame({"title": ["Alien", "Heat"], "version": [version, version]})},
    )


def version_of(artifact: Artifact) -> int:
    """The version that every file of the artefact agrees on."""
    found = {
        artifact.json("config")["version"],
        *artifact.arrays("model")["w"].ravel().tolist(),
        *artifact.arrays("model")["b"].tolist(),
        *artifact.frame("sub/table")["version"].to_list(),
        len(artifact.names) - 2,
    }
    assert len(found) == 1
    return int(found.pop())


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.startswith((".tmp-", ".old-")))


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


# Faults: the n-th operation on files fails, for every n (goal T1)


class CrashError(BaseException):
    """The process is killed: nothing that it meant to do afterwards happens."""


class Faulty:
    """Stands in for modules of file operations; counts the calls and makes the ``fail_at``-th one fail.

    ``transient``: that call alone. ``persistent``: it and all later ones. ``crash``: the process dies in it.
    """

    COUNTED = frozenset(
        {
            "open",
            "write",
            "fsync",
            "close",
            "mkdir",
            "makedirs",
            "rename",
            "replace",
            "unlink",
            "listdir",
            "flock",
            "rmtree",
        }
    )

    def __init__(self, fail_at: int, mode: str, code: int) -> None:
        self.fail_at, self.mode, self.code, self.calls = fail_at, mode, code, 0

    def wrap(self, module: ModuleType) -> ModuleType:
        stand_in = ModuleType(module.__name__)
        for name in dir(module):
            value = getattr(module, name)
            setattr(stand_in, name, self._counted(name, value) if name in self.COUNTED else value)
        return stand_in

    def _counted(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls == self.fail_at or (self.calls > self.fail_at > 0 and self.mode != "transient"):
                self._half(name, operation, args)
                if self.mode == "crash":
                    raise CrashError
                raise OSError(self.code, os.strerror(self.code))
            return operation(*args, **options)

        return call

    def _half(self, name: str, operation: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """A write that fails may have written some; a handle that could not be closed is closed all the same."""
        if name == "write" and self.calls == self.fail_at:
            operation(args[0], bytes(args[1])[: len(args[1]) // 2])
        if name == "close":
            operation(*args)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, str, int], Faulty]:
    originals = {name: getattr(atomic, name) for name in ("os", "fcntl", "shutil")}

    def install(fail_at: int, mode: str, code: int = errno.EIO) -> Faulty:
        faulty = Faulty(fail_at, mode, code)
        for name, module in originals.items():
            monkeypatch.setattr(atomic, name, faulty.wrap(module))
        return faulty

    return install


@pytest.mark.parametrize("exists", [True, False], ids=["replacing", "new"])
@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("transient", errno.EIO),
        ("persistent", errno.ENOSPC),
        ("crash", 0),
        pytest.param("transient", errno.ENOSPC, marks=pytest.mark.slow),
        pytest.param("persistent", errno.EIO, marks=pytest.mark.slow),
    ],
)
def test_a_failed_save_leaves_the_old_or_the_new_whole(
    tmp_path: Path, faults: Callable[..., Faulty], exists: bool, mode: str, code: int
) -> None:
    points = 0
    for fail_at in range(1, 1000):
        folder = tmp_path / str(fail_at)
        folder.mkdir()
        faults(0, mode)
        if exists:
            save_version(folder / "a", 1)
        faulty = faults(fail_at, mode, code)
        outcome = attempt(lambda folder=folder: save_version(folder / "a", 2))
        survived = faulty.calls < fail_at
        faults(0, mode)
        check_survivor(folder, exists=exists, outcome=outcome)
        save_version(folder / "a", 2)
        assert version_of(load(folder / "a", "thing")) == 2
        assert leftovers(folder) == []
        if survived:
            break
        points += 1
    assert points >= 30, "the faults did not reach the file operations"


def attempt(action: Callable[[], None]) -> str:
    try:
        action()
    except ArtifactError:
        return "refused"
    except CrashError:
        return "killed"
    return "saved"


def check_survivor(folder: Path, *, exists: bool, outcome: str) -> None:
    try:
        found = version_of(load(folder / "a", "thing"))
    except ArtifactError:
        found = 0
    allowed = {"saved": {2}, "refused": {1, 2} if exists else {0, 2}, "killed": {1, 2} if exists else {0, 2}}[outcome]
    assert found in allowed, f"{outcome}, but found version {found}"


@pytest.mark.parametrize("mode", ["transient", "persistent", "crash"])
def test_a_failed_write_of_one_file_leaves_the_old_or_the_new(
    tmp_path: Path, faults: Callable[..., Faulty], mode: str
) -> None:
    for fail_at in range(1, 200):
        file = tmp_path / "config.yaml"
        faults(0, mode)
        write_atomic(file, b"old")
        faulty = faults(fail_at, mode, errno.ENOSPC)
        outcome = attempt(lambda file=file: write_atomic(file, b"the new one"))
        faults(0, mode)
        assert file.read_bytes() in ({b"the new one"} if outcome == "saved" else {b"old", b"the new one"})
        write_atomic(file, b"third")
        assert leftovers(tmp_path) == []
        if faulty.calls < fail_at:
            break
    assert fail_at > 8


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.EMFILE])
def test_a_failed_read_is_an_artifact_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    save_version(tmp_path / "a", 1)
    opened, real = 0, Path.open

    def failing(self: Path, *args: Any, **options: Any) -> Any:
        nonlocal opened
        opened += 1
        if opened == fail_at:
            raise OSError(code, os.strerror(code))
        return real(self, *args, **options)

    monkeypatch.setattr(Path, "open", failing)
    for fail_at in range(1, 5):  # noqa: B007  (the manifest and three files)
        opened = 0
        with pytest.raises(ArtifactError, match="cannot be read"):
            load(tmp_path / "a", "thing")
    opened, fail_at = 0, 0
    assert version_of(load(tmp_path / "a", "thing")) == 1


def test_a_full_disk_says_so(tmp_path: Path, faults: Callable[..., Faulty]) -> None:
    faults(12, "persistent", errno.ENOSPC)
    with pytest.raises(ArtifactError, match="No space left on device"):
        save_version(tmp_path / "a", 1)


def test_saves_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    def work(version: int) -> None:
        for _ in range(6):
            save_version(tmp_path / "a", version)

    threads = [threading.Thread(target=work, args=(version,)) for version in (1, 2, 1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert version_of(load(tmp_path / "a", "thing")) in (1, 2)
    assert leftovers(tmp_path) == []


# Damage (goal T5)


def refuses(path: Path) -> bool:
    """Loading is refused. Fails if it gives anything but the truth."""
    try:
        loaded = load(path, "thing")
        assert version_of(loaded) == 1
    except ArtifactError:
        return True
    return False


def data_files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file())


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    save_version(tmp_path / "a", 1)
    rng = random.Random(5)
    files = data_files(tmp_path / "a")
    for _ in range(2000):
        file = rng.choice(files)
        data = bytearray(file.read_bytes())
        bit = rng.randrange(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        good = file.read_bytes()
        file.write_bytes(data)
        assert refuses(tmp_path / "a"), f"bit {bit} of {file.name}"
        file.write_bytes(good)
    assert not refuses(tmp_path / "a")


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    save_version(tmp_path / "a", 1)
    rng = random.Random(6)
    files = data_files(tmp_path / "a")
    for _ in range(200):
        file = rng.choice(files)
        good = file.read_bytes()
        file.write_bytes(good[: rng.randrange(len(good))] if rng.random() < 0.9 else good + b" ")
        if file.name == "manifest.json" and file.stat().st_size > len(good):
            file.write_bytes(good[:-1])  # a space after JSON changes nothing, a missing bracket does
        assert refuses(tmp_path / "a"), file.name
        file.write_bytes(good)


def test_every_swapped_file_is_noticed(tmp_path: Path) -> None:
    for name, version in (("a", 1), ("b", 2)):
        save_version(tmp_path / name, version)
    shutil.copytree(tmp_path / "a", tmp_path / "good")
    rng = random.Random(7)
    donors = [*data_files(tmp_path / "a"), *data_files(tmp_path / "b")]
    done = 0
    while done < 50:
        donor, target = rng.choice(donors), rng.choice(data_files(tmp_path / "a"))
        if donor.read_bytes() == target.read_bytes():
            continue
        target.write_bytes(donor.read_bytes())
        assert refuses(tmp_path / "a"), f"{donor} over {target}"
        shutil.rmtree(tmp_path / "a")
        shutil.copytree(tmp_path / "good", tmp_path / "a")
        done += 1


def test_a_missing_and_an_added_file_are_noticed(tmp_path: Path) -> None:
    for file in ("model.safetensors", "config.json", "sub/table.parquet", "manifest.json"):
        save_version(tmp_path / file.replace("/", "-"), 1)
        (tmp_path / file.replace("/", "-") / file).unlink()
        assert refuses(tmp_path / file.replace("/", "-"))
    save_version(tmp_path / "a", 1)
    (tmp_path / "a" / "sub" / "more.json").write_text("2")
    assert refuses(tmp_path / "a")
