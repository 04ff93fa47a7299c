"""What a process says of the memory it took is its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tastemaker.evaluate.machine import peak_memory

ASK = "from tastemaker.evaluate.machine import peak_memory; print(peak_memory())"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the starting process is counted as well")
def test_the_memory_of_the_process_that_starts_another_is_not_counted():
    held = b"." * 600_000_000
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert peak_memory() > len(held)
    assert 1e6 < int(done.stdout) < 5e8
