"""What pip is told when a package holds the data."""

from __future__ import annotations

import sys

from tastemaker.data import _pip


def test_pip_is_asked_for_wheels_only_and_by_no_shell() -> None:
    command = _pip._command("a==1", "folder")
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "--dest=folder", "--no-input"} <= set(command)
    assert not any("index" in part for part in command)
