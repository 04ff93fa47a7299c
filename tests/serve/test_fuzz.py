"""No input, however it is made, is answered with a failure of ours."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from served import Serve, Served

ID = "0" * 32
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/recommendations"): {"user": "u0", "n": 3, "candidates": ["f1"], "filter_seen": True},
    ("POST", "/v1/scores"): {"history": ["f1"], "items": ["f2", "f3"]},
    ("POST", "/v1/explanations"): {"user": "u0", "item": "f9"},
    ("POST", "/v1/chat"): {"message": "hi", "user": "u1", "domain": "", "stream": False, "debug": True},
    ("POST", "/v1/feedback"): {"user": "u0", "item": "f1", "verdict": "like"},
    ("POST", "/v1/items"): {"items": [{"item_id": "n1", "title": "t", "attributes": {"year": 1, "genres": ["x"]}}]},
    ("PATCH", f"/v1/dialogues/{ID}"): {"filters": [{"field": "year", "op": "is", "value": 1.0}]},
    ("POST", "/v1/chat/completions"): {
        "model": "tastemaker",
        "messages": [{"role": "user", "content": "x"}],
        "stream_options": {"include_usage": True},
        "user": "u0",
        "n": 1,
    },
}
INJECTIONS: dict[str, list[str]] = json.loads((Path(__file__).parents[1] / "prompts" / "injections.json").read_text())
HOSTILE: list[Any] = [
    *("", " ", "\x00", "\ud800", "\u202e\u200b", "<script>alert(1)</script>", "'; DROP TABLE dialogues; --", "{{7*7}}"),
    *("../../etc/passwd", "http://169.254.169.254/latest", "%00", "=cmd|' /C calc'!A0", "x" * 300, "u0", "f1"),
    *(-1, 0, 1e308, -0.0, 10**400, 2**63, True, None, [], {}, [[]], {"a": {"b": []}}),
]
VALUES = st.one_of(
    st.sampled_from(HOSTILE),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=5,
    ),
)
RAW = {
    "empty": b"",
    "nan": b'{"user": "u0", "n": NaN}',
    "huge": b'{"user": "u0", "n": 1e999}',
    "minus zero": b'{"user": "u0", "n": -0}',
    "lone surrogate": b'{"user": "\\ud800"}',
    "nul": b'{"user": "\\u0000", "message": "\\u0000", "item": "\\u0000", "verdict": "like"}',
    "twice": b'{"user": "u0", "user": "u1"}',
    "deep": b'{"user": ' + b"[" * 1_000 + b"]" * 1_000 + b"}",
    "deeper": b"[" * 30_000 + b"]" * 30_000,
    "long number": b'{"n": ' + b"9" * 5_000 + b"}",
    "too long": b'{"user": "' + b"x" * 65_536 + b'"}',
    "null": b"null",
    "array": b"[]",
    "text": b'"x"',
    "unknown field": b'{"user": "u0", "\\u202eevil\\ud800": 1}',
    "utf-16": '{"user": "u0"}'.encode("utf-16"),
    "not utf-8": b'{"user": "\xff\xfe"}',
    "cut": b'{"user": "u0"',
    "bytes": bytes(range(256)),
    "form": b"user=u0&n=3",
    "gzip": gzip.compress(b"0" * 1_000_000),
}
TYPES = ("application/json", "", "text/plain", "application/json; charset=utf-7", "a/b/c;;=")


def sound(answer: Any) -> None:
    """Nothing of ours failed, and an error has its one shape."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["error"].keys() == {"type", "message", "request_id"}
        assert "Traceback" not in answer.text


@pytest.mark.parametrize("name", RAW)
def test_bodies_that_are_none_are_refused(served: Served, name: str) -> None:
    async def all_routes() -> None:
        for method, path in BODIES:
            for kind in TYPES:
                headers = {"content-type": kind} if kind else {}
                answer = await served.asked(method, path, content=RAW[name], headers=headers)
                sound(answer)
                assert 400 <= answer.status_code < 500 or name in ("twice", "utf-16", "minus zero"), (path, answer.text)

    asyncio.run(all_routes())


def replaced(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The body with one of its values, however deep, replaced."""
    if not path:
        return value
    copy = dict(body) if isinstance(body, dict) else list(body)
    copy[path[0]] = replaced(body[path[0]], path[1:], value)
    return copy


def paths(body: Any) -> list[tuple[Any, ...]]:
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    return [(), *((key, *rest) for key, value in inner for rest in paths(value))]


def test_any_value_anywhere_is_answered(serve: Serve) -> None:
    served = serve()

    @settings(max_examples=300)
    @given(route=st.sampled_from(sorted(BODIES)), choice=st.integers(0, 99), value=VALUES, extra=st.none() | st.text())
    @example(("POST", "/v1/recommendations"), 0, {"user": "u0", "n": float("nan")}, None)
    @example(("POST", "/v1/items"), 0, {"items": [{"item_id": "a", "title": "b", "attributes": {"\ud800": 1}}]}, None)
    def check(route: tuple[str, str], choice: int, value: Any, extra: str | None) -> None:
        places = paths(BODIES[route])
        body = replaced(BODIES[route], places[choice % len(places)], value)
        if extra is not None and isinstance(body, dict):
            body = {**body, extra: value}
        content = json.dumps(body).encode()
        sound(served.ask(*route, content=content, headers={"content-type": "application/json"}))

    check()


def test_any_path_and_query_is_answered(serve: Serve) -> None:
    served = serve()
    prefixes = ["/", "/v1/items/", "/v1/items?q=", "/v1/items?n=", "/v1/dialogues/", "/v1/dialogues?n=", "/static/"]

    @settings(max_examples=100)
    @given(
        st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "TRACE"]),
        st.sampled_from(prefixes),
        st.binary(max_size=12) | st.sampled_from([str(one).encode("utf-8", "replace") for one in HOSTILE]),
    )
    def check(method: str, prefix: str, tail: bytes) -> None:
        answer = served.ask(method, prefix + "".join(f"%{byte:02x}" for byte in tail[:600]))
        assert answer.status_code < 500
        if method != "HEAD":
            sound(answer)

    check()


def test_injections_are_words_like_others(served: Served) -> None:
    texts = [text for several in INJECTIONS.values() for text in several[::4]]

    async def say_all() -> None:
        for text in texts:
            content = json.dumps({"message": text, "stream": False}).encode()
            sound(await served.asked("POST", "/v1/chat", content=content, headers={"content-type": TYPES[0]}))

    asyncio.run(say_all())
    assert len(served.talker.dialogues) > 10
