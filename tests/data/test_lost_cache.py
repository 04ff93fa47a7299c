"""A cache on a disk that is gone is told at once, not waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("below", ["", "tastemaker"])
def test_a_cache_whose_disk_is_gone_is_told(below: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "not-mounted")
    tried = "from tastemaker.data.sources import Source, fetch; fetch([Source(sha256='0', max_bytes=1)], name='set')"
    there = {"TASTEMAKER_CACHE": str(tmp_path / "link" / below), "PYTHONPATH": os.pathsep.join(sys.path)}
    environment = {**os.environ, **there}
    done = subprocess.run([sys.executable, "-c", tried], env=environment, capture_output=True, text=True, timeout=20)
    assert "cannot be written" in done.stderr
    assert "set TASTEMAKER_CACHE" in done.stderr
