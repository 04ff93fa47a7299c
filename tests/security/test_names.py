"""A name is a name: nothing that could lead out of a folder is taken for one (goal T8)."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker import collab
from tastemaker.artifacts import checked_name
from tastemaker.errors import UnknownNameError, UsageError

STEPS = ["..", "%2e%2e", "....", "%252e%252e", "..;", ".%00.", "\u2025", "\uff0e\uff0e", "..%c0%af", "~"]
SLASHES = ["/", "\\", "//", "%2f", "%5c", "\u2215", "\u2044", "\uff0f", "\uff3c", "/./", "\\/"]
TARGETS = ["etc/passwd", "secret", "windows/win.ini", "x.json", ""]
WHOLE = [
    "",
    " ",
    ".",
    "..",
    ".hidden",
    "-option",
    "_private",
    "/",
    "/etc/passwd",
    "//server/share",
    "c:",
    "C:\\x",
    "c:x",
    "\\\\?\\c:\\x",
    "file:///etc/passwd",
    "a\x00b",
    "a\nb",
    "name\n",
    "name ",
    " name",
    "a\tb",
    "a b",
    "name.",
    "a" * 65,
    "a" * 5000,
    "Name",
    "n\u00e4me",
    "na\u0131me",
    "\u202ename",
    "name\u200b",
    "a:b",
    "a*b",
    "a?b",
    "a|b",
    "a<b",
    'a"b',
    "$HOME",
    "${HOME}",
    "`id`",
    "a;b",
    "a&b",
    *(f"{device}{end}" for device in ("con", "prn", "aux", "nul", "com1", "lpt9") for end in ("", ".txt")),
]
CORPUS = sorted({f"{s}{j}{t}" for s, j, t in itertools.product(STEPS, SLASHES, TARGETS)} | set(WHOLE))


def test_the_corpus_is_large() -> None:
    assert len(CORPUS) >= 590


def test_no_payload_is_a_name() -> None:
    for payload in CORPUS:
        with pytest.raises(UsageError) as refused:
            checked_name(payload)
        message = str(refused.value)
        assert len(message) < 400
        assert message.isprintable()
        assert message.isascii()


def test_no_payload_is_a_model() -> None:
    for payload in CORPUS[::10]:
        with pytest.raises(UnknownNameError):
            collab.models.get(payload)


@pytest.mark.parametrize(
    "name", ["ml-100k", "smollm2-135m", "run_1", "a", "9", "a.b-c_d", "a" * 64, "console", "nullable"]
)
def test_names_are_names(name: str) -> None:
    assert checked_name(name) == name


@settings(max_examples=300)
@given(name=st.text(max_size=70) | st.from_regex(r"[a-z0-9._-]{1,66}", fullmatch=True))
def test_an_accepted_name_stays_in_its_folder(name: str) -> None:
    try:
        checked_name(name)
    except UsageError:
        return
    root = Path("/root-of-all")
    assert (root / name).resolve().parent == root.resolve()
    assert name == name.lower()
    assert name.isascii()
