"""The n-th operation on files fails, for every n: what is there afterwards is the old or the new, whole (goal T1)."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from versions import leftovers, save_version, version_of

from tastemaker import atomic
from tastemaker.artifacts import load, replacing, write_atomic
from tastemaker.errors import ArtifactError


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
        if exists and mode == "transient":
            assert (folder / "a").is_dir(), "what was moved aside was not put back"
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


def write_piecewise(file: Path, data: bytes) -> None:
    with replacing(file) as temporary, temporary.open("wb") as stream:
        stream.writelines(data[at : at + 2] for at in range(0, len(data), 2))


@pytest.mark.parametrize("write", [write_atomic, write_piecewise])
@pytest.mark.parametrize("mode", ["transient", "persistent", "crash"])
def test_a_failed_write_of_one_file_leaves_the_old_or_the_new(
    tmp_path: Path, faults: Callable[..., Faulty], mode: str, write: Callable[[Path, bytes], None]
) -> None:
    for fail_at in range(1, 200):
        file = tmp_path / "config.yaml"
        faults(0, mode)
        write(file, b"old")
        faulty = faults(fail_at, mode, errno.ENOSPC)
        outcome = attempt(lambda file=file: write(file, b"the new one"))
        faults(0, mode)
        assert file.read_bytes() in ({b"the new one"} if outcome == "saved" else {b"old", b"the new one"})
        write(file, b"third")
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


def test_a_system_that_writes_a_little_at_a_time_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(atomic.os, "write", lambda handle, data: write(handle, data[:100]))
    save_version(tmp_path / "a", 1)
    assert version_of(load(tmp_path / "a", "thing")) == 1


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
