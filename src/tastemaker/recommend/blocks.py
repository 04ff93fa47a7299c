"""Blocks of a table that takes long to make, kept beside the file they are for until it is whole."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from tastemaker.artifacts import write_atomic
from tastemaker.atomic import locked
from tastemaker.errors import UsageError

_QUESTION, _LOCK = "question.json", "lock"
_HASHED = ("recommender", "users", "candidates")
_OURS = re.compile(rf"\d{{8}}\.parquet|{_QUESTION}|{_LOCK}|\.tmp-.*")


class Question(BaseModel):
    """What the blocks answer; those that answer another question are of no use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    """Of tastemaker."""
    recommender: str
    users: str
    candidates: str | None
    """Hashes of who answers, for whom, out of what."""
    n: int
    filter_seen: bool
    reasons: bool
    size: int
    """Users of a block."""


class Blocks:
    """The blocks in ``FILE.blocks``, by number; each is there whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __contains__(self, number: int) -> bool:
        return self._file(number).is_file()

    def keep(self, number: int, rows: pl.DataFrame) -> None:
        """Write one block. Raises `ArtifactError`."""
        buffer = io.BytesIO()
        rows.write_parquet(buffer)
        write_atomic(self._file(number), buffer.getvalue())

    @property
    def files(self) -> list[Path]:
        """Those that are there, in their order."""
        return sorted(self.folder.glob("*.parquet"))

    def rows(self) -> pl.LazyFrame:
        """All of them, in their order, read as they are needed."""
        return pl.scan_parquet(self.files)

    def remove(self) -> None:
        """Delete the blocks, then what says whose they are, and the folder, unless somebody put something there."""
        files = [file for file in self.folder.iterdir() if _OURS.fullmatch(file.name)]
        for file in sorted(files, key=lambda file: file.name == _QUESTION):
            file.unlink()
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:08}.parquet"


def beside(out: Path) -> Path:
    """Where the blocks of that file are kept."""
    return out.with_name(f"{out.name}.blocks")


@contextlib.contextmanager
def opened(out: Path, question: Question, *, overwrite: bool) -> Iterator[Blocks]:
    """The blocks of ``out`` that answer the question already, ready for the others; nobody else may add to them.

    They are removed once what is done with them went well. Raises `UsageError` for blocks of another question, unless
    they may be dropped, and for files of someone else.
    """
    folder = beside(out)
    folder.mkdir(parents=True, exist_ok=True)
    if strange := sorted(file.name for file in folder.iterdir() if not _OURS.fullmatch(file.name)):
        raise UsageError(f"{folder} holds {strange[0]}, which is no block; move it elsewhere")
    (folder / _LOCK).touch()
    blocks, whole = Blocks(folder), False
    with _alone(folder / _LOCK, out):
        _settle(blocks, question, overwrite=overwrite)
        try:
            yield blocks
            whole = True
        finally:
            if whole or not blocks.files:
                blocks.remove()


@contextlib.contextmanager
def _alone(lock: Path, out: Path) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(lock, wait=False))
        except BlockingIOError:
            raise UsageError(f"another process is making {out}; wait for it, or choose another --out") from None
        yield


def _settle(blocks: Blocks, question: Question, *, overwrite: bool) -> None:
    """Leave only blocks that answer the question in the folder, and say there which that is."""
    difference = _difference(blocks.folder / _QUESTION, question) if blocks.files else ""
    if difference and not overwrite:
        raise UsageError(
            f"{blocks.folder} holds blocks of another question ({difference}); "
            "ask that one again, or add --overwrite to drop them"
        )
    if difference:
        for file in blocks.files:
            file.unlink()
    write_atomic(blocks.folder / _QUESTION, question.model_dump_json(indent=1).encode())


def _difference(file: Path, question: Question) -> str:
    """The first thing that was asked otherwise; empty if nothing was."""
    try:
        before = Question.model_validate_json(file.read_bytes()).model_dump()
    except (OSError, ValidationError):
        return "of another version"
    for name, now in question.model_dump().items():
        if before[name] != now:
            return f"{name}: other ones" if name in _HASHED else f"{name} was {before[name]}, is now {now}"
    return ""
