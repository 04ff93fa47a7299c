"""The command line in this process, and a few small runs that several tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from films import films
from listed import list_more_methods
from shell import films_folder, tastemaker


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data or cache but our own, and the small method beside ours."""
    monkeypatch.setenv("TASTEMAKER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TASTEMAKER_DATA", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    list_more_methods(monkeypatch)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The films as CSV files."""
    return films_folder(tmp_path_factory.mktemp("data") / "films", films())


@pytest.fixture(scope="session")
def counted(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A run of co-occurrence."""
    out = tmp_path_factory.mktemp("runs") / "counted"
    tastemaker("train", "cooccurrence", "--data", data, "--out", out, "-o", "split.k_core=0").ok()
    return out


@pytest.fixture(scope="session")
def tuned(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A run of the small method on co-occurrence."""
    out = tmp_path_factory.mktemp("runs") / "tuned"
    with pytest.MonkeyPatch.context() as patch:
        list_more_methods(patch)
        tastemaker(
            "train", "next-film", "--data", data, "--collab", "cooccurrence", "--out", out, "-o", "split.k_core=0"
        ).ok()
    return out
