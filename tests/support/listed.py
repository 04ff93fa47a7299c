"""The methods of ``more_methods``, listed beside our own for as long as a test runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastemaker import methods

FOLDER = Path(__file__).with_name("more_methods")


def list_more_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now until the test ends, ``next-film`` is a method like any other."""
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(FOLDER)])
