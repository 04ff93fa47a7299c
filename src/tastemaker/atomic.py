"""Bytes -> files and directories that are there whole or not at all, whatever fails on the way."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """``path`` holds ``data``; if anything fails it holds what it held before. Raises ``OSError``."""
    with replacing(path) as temporary:
        _write(temporary, data)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """An empty file beside ``path``, to be written piece by piece, that takes its place if nothing fails on the way.

    Raises ``OSError``.
    """
    path = _resolved(path)
    with _reserved(path, directory=False) as temporary:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)


def write_directory(
    path: str | os.PathLike[str], files: Mapping[str, bytes], *, may_replace: Callable[[Path], None]
) -> None:
    """``path`` is a directory of exactly these files (``"collab/model.json"`` makes ``collab``), or what it was.

    An existing directory is moved aside, to ``.old-NAME``, for the moment it takes to put the new one in its
    place; a crash in that moment is what `find_directory` looks for and what the next save repairs. ``may_replace``
    is given what is there now, while nobody else can swap it, and raises if it must stay. Raises ``OSError``.
    """
    path = _resolved(path)
    with _reserved(path, directory=True) as temporary:
        for folder in sorted({str(parent) for name in files for parent in Path(name).parents} - {"."}):
            os.mkdir(temporary / folder)
        for name, data in files.items():
            _write(temporary / name, data)
        for folder in sorted({str(Path(name).parent) for name in files}, reverse=True):
            _sync(temporary / folder)
        with locked(path.parent):
            if os.path.lexists(there := find_directory(path)):
                may_replace(there)
            _swap_in(temporary, path)


def find_directory(path: str | os.PathLike[str]) -> Path:
    """Where the last whole version of ``path`` is: there, or beside it if a save was killed as it swapped the two."""
    path = _resolved(path)
    return path if os.path.lexists(path) or not os.path.isdir(_aside(path)) else _aside(path)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an advisory lock that the system lets go of when the process dies, however it dies.

    Raises ``BlockingIOError`` where somebody else holds it and there is no ``wait``.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _swap_in(temporary: Path, path: Path) -> None:
    aside = _aside(path)
    replaces = os.path.lexists(path)
    if replaces:
        _remove(aside)
        os.rename(path, aside)
    try:
        os.rename(temporary, path)
    except OSError:
        if replaces:
            os.rename(aside, path)
        raise
    _sync(path.parent)
    with contextlib.suppress(OSError):
        _remove(aside)


@contextlib.contextmanager
def _reserved(path: Path, *, directory: bool) -> Iterator[Path]:
    """A new temporary name beside ``path``, locked while this process lives, gone at the end if it can be."""
    os.makedirs(path.parent, exist_ok=True)
    temporary = path.parent / f".tmp-{path.name}-{secrets.token_hex(4)}"
    with contextlib.ExitStack() as stack:
        with locked(path.parent):
            _sweep(path)
            stack.callback(_discard, temporary)
            if directory:
                os.mkdir(temporary)
            else:
                os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            stack.enter_context(locked(temporary))
        yield temporary


def _sweep(path: Path) -> None:
    """Undo what killed saves of ``path`` left behind: restore the version moved aside, remove the unfinished."""
    with contextlib.suppress(OSError):
        aside = _aside(path)
        if os.path.isdir(aside):
            if os.path.lexists(path):
                _remove(aside)
            else:
                os.rename(aside, path)
        for name in os.listdir(path.parent):
            if name.startswith(f".tmp-{path.name}-"):
                with contextlib.suppress(BlockingIOError), locked(path.parent / name, wait=False):
                    _remove(path.parent / name)


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError):
        _remove(path)


def _aside(path: Path) -> Path:
    return path.parent / f".old-{path.name}"


def _resolved(path: str | os.PathLike[str]) -> Path:
    """Absolute, and through a symbolic link to what it names, so that the link itself is never replaced."""
    return Path(os.path.realpath(path))
