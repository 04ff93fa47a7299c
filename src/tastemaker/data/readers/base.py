"""What every reader offers: files of one format -> a `Dataset`, or a whole split where the files are one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from tastemaker.data.dataset import Dataset
from tastemaker.data.preference import AnySplit
from tastemaker.data.sources import Source
from tastemaker.errors import DataError


class Reader(ABC):
    """Reads one format; the file's name is the format's name, and the dataset's if it is always the same data."""

    sources: ClassVar[tuple[Source, ...]] = ()
    """Where the files can be fetched, best first; empty if the user brings them."""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether ``path`` looks like this format, judged by names only."""
        return False

    @abstractmethod
    def read(self, path: Path, **options: Any) -> Dataset:
        """The dataset at ``path``. Raises `DataError` naming file and line, and nothing else."""


class SplitReader(Reader):
    """Reads files that are already split."""

    @abstractmethod
    def read_split(self, path: Path, **options: Any) -> AnySplit:
        """The split at ``path``. Raises `DataError` naming file and line, and nothing else."""

    def read(self, path: Path, **options: Any) -> Dataset:
        """The dataset under the split."""
        return self.read_split(path, **options).dataset


def find(folder: Path, *names: str) -> Path:
    """The first of these files that is in ``folder`` or one folder deeper. Raises `DataError` if none is."""
    for name in names:
        for candidate in (folder / name, *sorted(folder.glob(f"*/{name}"))):
            if candidate.is_file():
                return candidate
    raise DataError(f"no file named {' or '.join(names)} here", folder)
