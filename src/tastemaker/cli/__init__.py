"""The command line: one file per verb, found by its name."""

from __future__ import annotations

from tastemaker.cli._main import main

__all__ = ["main"]
