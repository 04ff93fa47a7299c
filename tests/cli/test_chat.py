"""tastemaker chat: turns from stdin, text and tables for people, events for machines."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from shell import tastemaker

from tastemaker.llm.sentences import SentenceEncoder
from tastemaker.testing.tiny_encoder import tiny_encoder

pytest.importorskip("lancedb", reason="pip install 'tastemaker[search]'")


@pytest.fixture
def counted(counted: Path, tmp_path: Path) -> Path:
    """A run of this test's own: what is kept in it is not there for others."""
    return shutil.copytree(counted, tmp_path / "run")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SentenceEncoder, "load", staticmethod(tiny_encoder))


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n\nnever read\n"))


def test_a_person_sees_text_and_a_list(counted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "a comedy please", "why the second one?")
    done = tastemaker("chat", counted, "--user", "u0", "-n", 3).ok()
    assert "Here are 3: Comedy." in done.out
    assert "Film" in done.out
    assert "shares the genre Comedy" in done.out
    assert "never read" not in done.out


def test_a_machine_reads_one_event_a_line(counted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "films from 1995 to 2005", "undo")
    events = [json.loads(line) for line in tastemaker("chat", counted, "--json", "-n", 5).ok().out.splitlines()]
    assert [event["type"] for event in events] == ["token", "items", "done", "token", "done"]
    assert all(1995 <= card["attributes"]["year"] <= 2005 for card in events[1]["cards"])
    assert len(events[1]["cards"]) == 5
    assert events[-1]["dialogue"]["filters"] == []


def test_wrong_calls_are_one_line(counted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "hello")
    tastemaker("chat", counted, "--user", "nobody").fails(2, "no user with id 'nobody'")
    typed(monkeypatch, "hello")
    tastemaker("chat", counted, "--url", "http://127.0.0.1:9/v1").fails(2, "--llm")
