"""Bars on a terminal, a line for what took long elsewhere, and nothing at all on stdout."""

from __future__ import annotations

import io
import re
import sys

import pytest

from tastemaker.cli import _progress
from tastemaker.cli._progress import reporting


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def work() -> None:
    with reporting() as progress:
        for task, note in (("fetch", "bytes"), ("sasrec [red]", "validation 0.4"), ("fetch", "bytes")):
            for done in range(3):
                progress(task, done * 1e6, 2e6, note)
        progress("endless", 3)


def test_a_terminal_has_bars(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    monkeypatch.setattr(_progress, "LONG", 0.0)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "150")
    work()
    assert "2.0/2.0 MB" in terminal.getvalue()
    assert "sasrec [red]" in terminal.getvalue()
    assert "validation 0.4" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_elsewhere_there_is_a_line_for_what_took_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_progress, "LONG", 3600.0)
    work()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(_progress, "LONG", 0.0)
    work()
    found = capsys.readouterr()
    assert re.sub(r"in \d+ s", "in N s", found.err).splitlines() == [
        "fetch: 2.0/2.0 MB in N s",
        "sasrec [red]: 2,000,000/2,000,000 in N s; validation 0.4",
        "fetch: 2.0/2.0 MB in N s",
    ]
    assert found.out == ""


def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(_progress, "LONG", 0.0)
    monkeypatch.setattr(sys, "stderr", terminal)
    work()
    assert "\x1b[3" not in terminal.getvalue()
