"""Files of any known format -> `Dataset`, `Split` and `PreferenceSplit`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tastemaker.data import readers, sources, splits
from tastemaker.data.candidates import CandidateSet
from tastemaker.data.dataset import Dataset
from tastemaker.data.describe import Description, SplitDescription, describe, describe_split
from tastemaker.data.preference import AnySplit, Judgement, PreferenceSplit
from tastemaker.data.readers.base import Reader, SplitReader
from tastemaker.data.saved_split import save_split
from tastemaker.data.split import Case, Split
from tastemaker.errors import ConfigError, DataError, UnknownNameError, UsageError
from tastemaker.types import Progress, quiet

__all__ = [
    "AnySplit",
    "CandidateSet",
    "Case",
    "Dataset",
    "Description",
    "Judgement",
    "PreferenceSplit",
    "Split",
    "SplitDescription",
    "comes_split",
    "describe",
    "describe_split",
    "load_dataset",
    "load_split",
    "locate",
    "readers",
    "save_split",
    "splits",
]

StrPath = str | os.PathLike[str]


def load_dataset(
    name_or_path: StrPath, path: StrPath | None = None, progress: Progress = quiet, **options: Any
) -> Dataset:
    """The named dataset, or what lies at a path: files of a known format, or a dataset that was saved.

    A named one is read from ``path``, else from the folder of that name under ``$TASTEMAKER_DATA``, else fetched once
    into the cache. ``options`` go to the reader. Raises `ConfigError`, `DataError`, `SourceError`,
    `UnknownNameError`.

    ``load_dataset("ml-100k")``, ``load_dataset("my.csv")``, ``load_dataset("my.csv", columns={"item_id": "asin"})``
    """
    name = known_name(name_or_path)
    if name is not None:
        reader, there = readers.get(name)(), locate(name, path, progress)
        with _known_options(name, options):
            return reader.read(there, **options)
    there = Path(name_or_path)
    if (there / "manifest.json").is_file() and not comes_split(there):
        return Dataset.load(there)
    known = _format(there)
    if known is None:
        raise DataError(f"is no format that is recognised; name one of {', '.join(readers.names())}", there)
    with _known_options(known, options):
        return readers.get(known)().read(there, **options)


def load_split(
    name_or_path: StrPath, path: StrPath | None = None, progress: Progress = quiet, **options: Any
) -> AnySplit:
    """A ready-made split: your own train, valid and test, what `save_split` wrote, or one that was released.

    It is found as `load_dataset` finds a dataset, and ``options`` go to the reader as there. Raises `ArtifactError`,
    `ConfigError`, `DataError`, `SourceError`, `UnknownNameError`, `UsageError`.

    ``load_split("my-split")``, ``load_split("data/loo")``, ``load_split("collm-ml-1m", history="all")``
    """
    name = known_name(name_or_path)
    known = _format(Path(name_or_path)) if name is None else name
    reader = None if known is None else readers.get(known)()
    if known is None or not isinstance(reader, SplitReader):
        ready = ", ".join(n for n in readers.names() if issubclass(readers.get(n), SplitReader))
        bring = "bring a folder with train, valid and test"
        raise UsageError(f"{name_or_path} is not split already; {bring}; ready-made splits: {ready}")
    there = Path(name_or_path) if name is None else locate(name, path, progress)
    with _known_options(known, options):
        return reader.read_split(there, **options)


def comes_split(name_or_path: StrPath) -> bool:
    """Whether the data of that name, or at that path, is a split already, so that `load_split` reads it."""
    key = os.fspath(name_or_path).lower().replace("_", "-")
    known = key if key in readers.names() else _format(Path(name_or_path))
    return known is not None and issubclass(readers.get(known), SplitReader)


def locate(name: str, path: StrPath | None = None, progress: Progress = quiet) -> Path:
    """Where a named dataset's files are, fetched if need be: what ``tastemaker data fetch NAME --from PATH`` runs.

    ``path`` may also be an archive fetched by hand: it is verified and unpacked into the cache.
    """
    reader: type[Reader] = readers.get(name)
    if path is not None:
        given = Path(path)
        if not given.exists():
            raise DataError("there is nothing here", given)
        packed = bool(reader.sources) and given.suffix in (".zip", ".whl")
        return sources.adopt(reader.sources, given, name=name) if packed else given
    root = os.environ.get("TASTEMAKER_DATA")
    if root and (Path(root) / name).is_dir():
        return Path(root) / name
    if not reader.sources:
        raise UsageError(f"{name} cannot be fetched: say where its files are, or put them into $TASTEMAKER_DATA/{name}")
    return sources.fetch(reader.sources, progress, name=name)


def _format(path: Path) -> str | None:
    """The name of the first format that is recognised in what lies at the path."""
    return next((name for name in readers.names() if readers.get(name).recognises(path)), None)


@contextmanager
def _known_options(name: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Says of an option that the reader does not have that it does not have it."""
    try:
        yield
    except TypeError as error:
        stranger = next((option for option in options if f"argument '{option}'" in str(error)), None)
        if stranger is None:
            raise
        raise ConfigError(
            f"{name} has no option {stranger!r} when it is read; settings of the split are its own"
        ) from None


def known_name(name_or_path: StrPath) -> str | None:
    """The reader's name, or None for a path that exists. A name wins: ``./ml-100k`` is how to say the path."""
    text = os.fspath(name_or_path)
    names = readers.names()
    if text.lower().replace("_", "-") in names:
        return text
    if Path(text).exists():
        return None
    if os.sep in text or Path(text).suffix:
        raise DataError("there is nothing here", text)
    raise UnknownNameError(readers.registry.kind, text, names)
