"""Pinned downloads -> verified files in the cache, all or nothing."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tastemaker.data import _http, _pip
from tastemaker.errors import DataError, SourceError
from tastemaker.types import Progress, quiet

BLOCK = 1 << 20
MAX_EXPANSION = 50
"""How many times larger than the cap of the archive an extracted file may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One place files can come from: a ``url``, or a ``package`` that pip fetches, pinned by its SHA-256.

    >>> Source(package="recbole==1.2.1", sha256="9c99", max_bytes=20_000_000, members=("a/b.txt",)).place
    'recbole==1.2.1'
    """

    sha256: str
    """Of the whole archive or wheel; anything else is refused before it is opened."""
    max_bytes: int
    """A download is cut off beyond this."""
    members: tuple[str, ...] = ()
    """What to take out of the zip archive or wheel, folders dropped; empty keeps the file as it is."""
    url: str = ""
    package: str = ""
    """``name==version``, from whatever registry pip is configured with; wheels only, as nothing may run."""

    @property
    def place(self) -> str:
        """The URL or the package."""
        return self.url or self.package

    @property
    def by_hand(self) -> str:
        """What a person would do to get the file."""
        return f"download {self.url}" if self.url else f"run `pip download --no-deps {self.package}`"


def cache_dir() -> Path:
    """``$TASTEMAKER_CACHE``, else ``$XDG_CACHE_HOME/tastemaker``, else ``~/.cache/tastemaker``."""
    if own := os.environ.get("TASTEMAKER_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tastemaker"


def fetch(sources: Sequence[Source], progress: Progress = quiet, *, name: str, dataset: bool = True) -> Path:
    """A folder in the cache with the members of the first source that works; instant if they are there already.

    An interrupted download goes on where it stopped. Two processes may ask at once. What ``dataset`` is can also be
    brought by hand, and the message says how. Raises `SourceError` with every reason when no source works.
    """
    with _claimed(sources, name) as (done, partial):
        if done.is_dir():
            return done
        reasons = []
        for source in sources:
            archive = partial / f"{source.sha256[:16]}.part"
            try:
                _obtain(source, archive, name, progress)
                return _install(archive, source, partial, done)
            except SourceError as e:
                reasons.append(f"{source.place}: {e}")
    hand = f". By hand: {' or '.join(s.by_hand for s in sources)}, then `tastemaker data fetch {name} --from PATH`"
    raise SourceError(f"{name} could not be fetched ({'; '.join(reasons)}){hand if dataset else ''}")


def adopt(sources: Sequence[Source], path: Path, *, name: str) -> Path:
    """The folder `fetch` would have made, from an archive fetched by hand. Raises `SourceError` if its hash differs."""
    try:
        found = _sha256(path)
    except OSError as e:
        raise DataError(f"cannot be read: {e.strerror}", path) from None
    source = next((s for s in sources if s.sha256 == found), None)
    if source is None:
        wanted = " or ".join(f"{s.place} ({s.sha256[:12]}...)" for s in sources)
        raise SourceError(f"{path}: SHA-256 {found[:12]}... is not that of {wanted}")
    with _claimed(sources, name) as (done, partial):
        return done if done.is_dir() else _install(path, source, partial, done)


@contextlib.contextmanager
def _claimed(sources: Sequence[Source], name: str) -> Iterator[tuple[Path, Path]]:
    """The final folder and a partial one beside it that only this process uses until the block ends."""
    key = hashlib.sha256("".join(s.sha256 for s in sources).encode()).hexdigest()[:8]
    done = cache_dir() / f"{name}-{key}"
    partial = done.with_name(f".partial-{done.name}")
    if done.is_dir():
        yield done, partial
        return
    try:
        handle = _locked(partial)
    except OSError as e:
        raise SourceError(f"the cache {cache_dir()} cannot be written: {e.strerror}; set TASTEMAKER_CACHE") from None
    try:
        yield done, partial
    except OSError as e:
        raise SourceError(f"{name} could not be kept in {cache_dir()}: {e.strerror}") from e
    finally:
        if done.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        with contextlib.suppress(OSError):
            partial.rmdir()  # unless there is a part to go on from
        os.close(handle)


def _locked(folder: Path) -> int:
    """A handle that holds the lock on ``folder``; the system lets go of it however the process ends."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY)
        except (FileNotFoundError, FileExistsError):
            lost = any(p.is_symlink() and not p.exists() for p in (folder, *folder.parents))  # a disk is not mounted
            if lost or (folder.exists() and not folder.is_dir()):
                raise
            continue  # whoever had it finished and removed it, perhaps while mkdir looked
        fcntl.flock(handle, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), folder.stat()):
                return handle
        os.close(handle)


def _obtain(source: Source, archive: Path, name: str, progress: Progress) -> None:
    """The verified archive. What an earlier run left may be worth nothing, so then a second try starts afresh."""
    continued = archive.exists()
    _download(source, archive, name, progress)
    try:
        _verify(archive, source)
    except SourceError:
        if not continued:
            raise
        _download(source, archive, name, progress)
        _verify(archive, source)


def _download(source: Source, archive: Path, name: str, progress: Progress) -> None:
    if source.url:
        _http.download(source.url, archive, source.max_bytes, lambda done, total: progress(name, done, total, "bytes"))
    else:
        _pip.download(source.package, archive, lambda done, total: progress(name, done, total, "bytes"))
    if archive.stat().st_size > source.max_bytes:
        archive.unlink()
        raise SourceError(f"is larger than the {source.max_bytes:,} bytes allowed")
    size = archive.stat().st_size
    progress(name, size, size, "bytes")


def _verify(archive: Path, source: Source) -> None:
    found = _sha256(archive)
    if found != source.sha256:
        archive.unlink()
        raise SourceError(f"has SHA-256 {found[:12]}..., expected {source.sha256[:12]}...; it was thrown away")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _install(archive: Path, source: Source, partial: Path, done: Path) -> Path:
    """Extract beside the final place, then rename: the folder is there whole or not at all."""
    fresh = partial / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    if source.members:
        _extract(archive, source, fresh)
    else:
        shutil.copyfile(archive, fresh / PurePosixPath(source.place).name)
    for file in fresh.iterdir():
        with file.open("rb") as written:
            os.fsync(written.fileno())
    fresh.rename(done)
    return done


def _extract(archive: Path, source: Source, folder: Path) -> None:
    limit = source.max_bytes * MAX_EXPANSION
    try:
        with zipfile.ZipFile(archive) as packed:
            for member in source.members:
                info = packed.getinfo(member)
                if info.file_size > limit or stat.S_ISLNK(info.external_attr >> 16):
                    raise SourceError(f"member {member} is a link or larger than {limit:,} bytes")
                with packed.open(info) as inside, (folder / PurePosixPath(member).name).open("wb") as out:
                    shutil.copyfileobj(inside, out, BLOCK)
    except KeyError:
        raise SourceError(f"has no member {member}") from None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as e:
        raise SourceError(f"is not a zip archive that can be read: {e}") from None
