"""tastemaker bench measures from the source tree, or says what it wants."""

from pathlib import Path

import pytest
from shell import tastemaker

from tastemaker.cli import bench


def test_without_the_source_tree_it_says_what_it_wants(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "__file__", str(tmp_path / "a" / "b" / "c" / "bench.py"))
    tastemaker("bench").fails(2, "source tree")
