"""Files of any known format -> `Dataset` and `Split`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tastemaker.data.candidates import CandidateSet
from tastemaker.data.dataset import Dataset
from tastemaker.data.readers import readers
from tastemaker.data.readers.base import Reader, SplitReader
from tastemaker.data.split import Case, Split
from tastemaker.errors import UsageError
from tastemaker.types import Progress, quiet

__all__ = ["CandidateSet", "Case", "Dataset", "Split", "load_dataset", "load_split", "readers"]


def load_dataset(
    name: str | os.PathLike[str], path: str | os.PathLike[str] | None = None, progress: Progress = quiet, **options: Any
) -> Dataset:
    """The named dataset, or what is at a path.

    The files are taken from ``path``, else from the folder of that name under ``$TASTEMAKER_DATA``, else fetched once
    into the cache. ``options`` go to the reader.
    """
    reader = readers.get(str(name))()
    return reader.read(_located(str(name), reader, path, progress), **options)


def load_split(
    name: str | os.PathLike[str], path: str | os.PathLike[str] | None = None, progress: Progress = quiet, **options: Any
) -> Split:
    """A split that was released ready-made: ``load_split("llara-movielens", path)``."""
    reader = readers.get(str(name))()
    if not isinstance(reader, SplitReader):
        raise UsageError(f"{name} is not a ready-made split; load it as a dataset and split that")
    return reader.read_split(_located(str(name), reader, path, progress), **options)


def _located(name: str, reader: Reader, path: str | os.PathLike[str] | None, progress: Progress) -> Path:
    if path is not None:
        return Path(path)
    root = os.environ.get("TASTEMAKER_DATA")
    if root and (Path(root) / name).is_dir():
        return Path(root) / name
    raise UsageError(f"{name} cannot be fetched; say where its files are: tastemaker data fetch {name} --from PATH")
