"""Every route is guarded: by keys, by origin, by size, and by headers; nothing is told that is nobody's business."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from served import KEYS, Serve, Served

from tastemaker.errors import ConfigError, UsageError
from tastemaker.serve.envelope import HEADERS
from tastemaker.serve.keys import LOCAL, Keys, require_safe

OPEN = {"/", "/healthz", "/readyz"}


def routes(served: Served) -> list[tuple[str, str]]:
    """Methods and paths of everything there is."""
    from fastapi.routing import iter_route_contexts

    found = []
    for route in iter_route_contexts(served.app.routes):
        path = route.path.replace("{dialogue_id}", "0" * 32).replace("{item_id:path}", "f1")
        found += [(method, path) for method in (getattr(route, "methods", None) or {"GET"}) - {"HEAD"}]
    return found


def test_every_route_asks_for_a_key(served: Served) -> None:
    seen = routes(served)
    assert len({path for _, path in seen}) >= 14
    assert {"/v1/chat", "/v1/chat/completions", "/metrics", "/v1/items/f1", "/static"} <= {path for _, path in seen}
    for method, path in seen:
        answer = served.ask(method, path, {} if method in ("POST", "PATCH") else None, key="")
        assert (answer.status_code == 401) == (path not in OPEN), (method, path)
    for path in ("/docs", "/redoc", "/openapi.json", "/nothing", "/static/../v1/models", "//v1/models"):
        assert served.ask("GET", path, key="").status_code in (401, 404)
        assert served.ask("GET", path).status_code in (200, 404)
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert served.ask("GET", path).status_code == 404


def test_the_description_of_the_api_is_there_when_asked_for(serve: Serve) -> None:
    served = serve(openapi=True)
    assert served.ask("GET", "/openapi.json", key="").status_code == 401
    assert "/v1/chat" in served.ask("GET", "/openapi.json").json()["paths"]
    assert served.ask("GET", "/docs").status_code == 404


def test_keys_open_in_either_header_and_wrong_ones_run_out(serve: Serve) -> None:
    served = serve(wrong_keys=5)
    assert served.ask("GET", "/v1/models", key="", headers={"x-api-key": KEYS["bob"]}).status_code == 200
    codes = [served.ask("GET", "/v1/models", key=f"{KEYS['ann']}{i}").status_code for i in range(8)]
    assert codes == [401] * 5 + [429] * 3
    assert served.ask("GET", "/v1/models").status_code == 200


def test_keys_are_read_from_a_file_and_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    digest = hashlib.sha256(b"a-key-that-is-only-hashed").hexdigest()
    path.write_text(f"# ours\nann {KEYS['ann']}\n\nshop sha256:{digest}\n")
    keys = Keys.read(path, {"TASTEMAKER_API_KEY": "one-from-the-environment"})
    assert keys.owner(KEYS["ann"]) == "ann"
    assert keys.owner("a-key-that-is-only-hashed") == "shop"
    assert keys.owner("one-from-the-environment") == "default"
    for wrong in ("", "ann", digest, f"sha256:{digest}", KEYS["ann"] + " ", "\udcff"):
        assert keys.owner(wrong) is None
    assert not any(keys.owner(f"{KEYS['ann']}{number}") for number in range(2_000))
    assert KEYS["ann"] not in repr(keys) + repr(vars(keys))
    assert not Keys.read(None, {})


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "ann short\n", "justakeywithoutaname\n", "Ann a-key-of-twenty-letters\n",
             "a a-key-of-twenty-letters\na b-key-of-twenty-letters\n", "a a-key-of-twenty letters-and-more\n"],
)  # fmt: skip
def test_a_wrong_file_of_keys_is_told_without_its_keys(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(ConfigError, match="keys") as caught:
        Keys.read(path, {})
    assert "letters" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        Keys.read(tmp_path / "nowhere", {})


def test_without_keys_only_this_machine_may_come_in(serve: Serve) -> None:
    for host in ("127.0.0.1", "localhost", "::1", "[::1]", "127.8.9.1"):
        require_safe(host, Keys())
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.org", "", "127.0.0.1.example.org"):  # noqa: S104
        with pytest.raises(UsageError, match="--key-file"):
            require_safe(host, Keys())
        require_safe(host, Keys({"a": b""}))
    served = serve(keyed=False)
    assert served.ask("GET", "/v1/models").status_code == 200
    assert served.ask("POST", "/v1/chat", {"message": "x", "stream": False}).status_code == 200
    assert served.service.dialogues.list(LOCAL, 10)
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "169.254.169.254"):
        answer = served.ask("GET", "/v1/models", headers={"host": host})
        assert (answer.status_code, answer.json()["error"]["type"]) == (421, "wrong_host"), host


@pytest.mark.parametrize("keyed", [True, False])
def test_nothing_is_changed_on_behalf_of_another_site(serve: Serve, keyed: bool) -> None:
    served = serve(keyed=keyed)

    def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {"user": "u0", "item": "f1", "verdict": "like"}
        return int(served.ask("POST", "/v1/feedback", body, headers=named).status_code)

    assert status() == 204
    assert status(origin="http://localhost", sec_fetch_site="same-origin") == 204
    assert status(sec_fetch_site="none") == 204
    assert status(origin="http://localhost") == 204
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost.evil.example"},
        {"origin": "http://localhost:9999"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "http://localhost", "sec_fetch_site": "cross-site"},
    ):
        assert status(**headers) == 403, headers
    answer = served.ask("GET", "/v1/models", headers={"origin": "http://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    plain = served.ask("POST", "/v1/feedback", content=b'{"user":"u0","item":"f1","verdict":"like"}')
    assert plain.status_code == 422, "a form of another site cannot send JSON's content type"


def test_every_answer_has_the_headers_that_browsers_heed(served: Served) -> None:
    asked = [
        ("GET", "/"),
        ("GET", "/healthz"),
        ("GET", "/nothing"),
        ("GET", "/static/index.html"),
        ("GET", "/v1/models"),
    ]
    asked += [("POST", "/v1/chat"), ("DELETE", "/v1/models"), ("GET", "/metrics")]
    for method, path in asked:
        for key in ("ann", "wrong"):
            answer = served.ask(method, path, {"message": "x"} if method == "POST" else None, key=key)
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS, path
            assert len(answer.headers.get_list("content-security-policy")) == 1
            assert ("no-store" in answer.headers.get("cache-control", "")) == (not path.startswith("/static/"))
    for directive in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"):
        assert directive in HEADERS["content-security-policy"]
    assert "unsafe" not in HEADERS["content-security-policy"]


def test_a_request_s_id_is_echoed_if_it_is_one(served: Served) -> None:
    ask = ("GET", "/v1/items/none")
    assert served.ask(*ask, headers={"x-request-id": "abc-12345"}).headers["x-request-id"] == "abc-12345"
    for wrong in ("short", "x" * 65, "a b c d e f g", "<script>alert(1)"):
        answer = served.ask(*ask, headers={"x-request-id": wrong})
        assert len(answer.headers["x-request-id"]) == 32
        assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]


def sized(size: int) -> dict[str, Any]:
    return {"message": "x" * size}


def test_sizes_are_bounded_before_any_work(served: Served) -> None:
    def status(path: str, body: Any = None, **options: Any) -> int:
        return int(served.ask("POST", path, body, **options).status_code)

    as_json = {"content-type": "application/json"}
    big = json.dumps(sized(70_000)).encode()

    async def chunked() -> AsyncIterator[bytes]:
        for start in range(0, len(big), 1_000):
            yield big[start : start + 1_000]

    assert status("/v1/chat", sized(2_000)) == 200
    assert status("/v1/chat", sized(2_001)) == 422
    assert status("/v1/chat", sized(66_000)) == 413
    assert status("/v1/chat", content=chunked(), headers=as_json) == 413
    assert status("/v1/chat", content=chunked(), headers={**as_json, "content-length": "10"}) == 413
    assert status("/v1/chat", content=b"{}", headers={**as_json, "content-length": "9" * 30}) == 413
    assert status("/v1/chat", content=b"{}", headers={**as_json, "content-encoding": "gzip"}) == 415
    for n in (0, -1, 101, 10**30, "5", 1.5, None, True):
        assert status("/v1/recommendations", {"user": "u0", "n": n}) == 422, n
    assert status("/v1/recommendations", {"user": "u0", "candidates": ["f1"] * 201}) == 422
    assert status("/v1/recommendations", {"history": ["f1"] * 501}) == 422
    assert status("/v1/recommendations", {"user": "u" * 257}) == 422
    assert status("/v1/scores", {"user": "u0", "items": ["f1"] * 201}) == 422
    assert status("/v1/items", {"items": [{"item_id": "x", "title": "y" * 501}]}) == 422
    assert status("/v1/items", {"items": [{"item_id": "x", "title": "y", "attributes": {"__init__": 1}}]}) == 422
    assert served.ask("GET", "/v1/items", params={"q": "x" * 201}).status_code == 422
    assert served.ask("GET", "/v1/items", params={"q": "x", "n": 51}).status_code == 422
    assert status("/v1/feedback", {"user": "a\x00b", "item": "f1", "verdict": "like"}) == 422
    assert served.talker.dialogues[1:] == []


def test_a_body_that_does_not_arrive_is_not_waited_for(serve: Serve) -> None:
    served = serve(body_seconds=0.1)

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"message'
        await asyncio.sleep(5)

    answer = served.ask("POST", "/v1/chat", content=slow(), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (408, "too_slow")


def test_logs_errors_and_figures_hold_no_secrets(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    canary = "c4n4ry-xyzzy"
    told = []
    served.talker.fails = ValueError(canary)
    for method, path in routes(served):
        path = path.replace("f1", canary)
        for body in (
            {"message": canary, "stream": False},
            {"message": canary, "dialogue_id": canary},
            {"user": canary, "item": canary, "items": [canary], "verdict": canary, canary: canary},
            {"user": canary, "item": canary},
            {"history": [canary], "items": [canary]},
            {"model": canary, "messages": [{"role": canary, "content": canary}]},
            {"items": [{"item_id": "x", "title": "y", "attributes": {canary.upper(): canary}}]},
        ):
            sent = body if method in ("POST", "PATCH") else None
            answer = served.ask(method, path, sent, params={canary: canary, "n": canary})
            assert answer.status_code != 500 or path == "/v1/chat"
            told.append(answer.text + str(dict(answer.headers)))
        told.append(served.ask(method, path, key=canary + KEYS["ann"]).text)
    told.append(served.ask("GET", "/metrics").text)
    log = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("httpx"))
    assert log.count("answered id=") > 100
    assert "failed id=" in log
    assert "ValueError < " in log
    for secret in (canary, canary.upper(), *KEYS.values()):
        assert not [one for one in told if secret in one]
        assert secret not in log


def test_static_files_do_not_lead_out(served: Served) -> None:
    assert served.ask("GET", "/static/index.html", key="").status_code == 200
    escapes = (
        "../app.py",
        "%2e%2e/app.py",
        "..%2fapp.py",
        "....//app.py",
        "%00",
        "/etc/passwd",
        "..\\app.py",
        "x" * 5_000,
    )
    for escape in escapes:
        assert served.ask("GET", f"/static/{escape}", key="").status_code in (401, 404), escape
        assert served.ask("GET", f"/v1/dialogues/{escape}").status_code in (404, 405), escape
