"""The C library is told once to keep what was freed, where there is one that can be told."""

import pytest

from tastemaker import memory


@pytest.fixture
def told(monkeypatch):
    """What the C library is told, instead of telling it."""
    calls = []

    class Library:
        def mallopt(self, option, value):
            calls.append((option, value))
            return 1

    memory.reuse.cache_clear()
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: Library())
    yield calls
    memory.reuse.cache_clear()


def test_large_blocks_stay_on_the_heap_and_the_heap_is_never_cut(told):
    assert memory.reuse()
    assert memory.reuse()
    assert told == [(-3, 32 << 20), (-1, 2**31 - 1)]


def test_other_systems_and_libraries_are_left_alone(told, monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert not memory.reuse()
    memory.reuse.cache_clear()
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert not memory.reuse()
