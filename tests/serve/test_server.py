"""On a real socket: health answers while the model works, slow and lost clients harm nobody, a stop is graceful."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psutil
import pytest
from live import Live, living
from served import Serve, events

from tastemaker.errors import UsageError
from tastemaker.serve.run import _address, _listen, _Server, run

ROOT = Path(__file__).parents[2]


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.002)


def client(live: Live) -> httpx2.Client:
    return httpx2.Client(base_url=live.url, headers={"authorization": f"Bearer {live.key}"}, timeout=15)


def test_health_answers_while_the_model_works(live: Live) -> None:
    live.served.talker.gate = gate = threading.Event()
    workers = live.served.service.replies

    async def busy() -> list[float]:
        headers = {"authorization": f"Bearer {live.key}"}
        async with httpx2.AsyncClient(base_url=live.url, headers=headers, timeout=15) as http:
            replies = [asyncio.create_task(http.post("/v1/chat", json={"message": "x"})) for _ in range(4)]
            while workers.load != (2, 2):
                await asyncio.sleep(0.002)
            times = []
            for _ in range(50):
                begun = time.perf_counter()
                assert (await http.get("/healthz")).status_code == 200
                times.append(time.perf_counter() - begun)
            assert workers.load == (2, 2)
            gate.set()
            for reply in replies:
                assert events((await reply).text)[-1][0] == "done"
            return sorted(times)

    assert asyncio.run(busy())[25] < 0.1


def test_what_was_loaded_is_not_searched_for_cycles_again(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    left = list[int]()
    monkeypatch.setattr(_Server, "run", lambda *_, **__: left.append(len(gc.get_objects(generation=2))))
    try:
        run(serve().app, "127.0.0.1", 0, ready=print)
    finally:
        gc.unfreeze()
    assert left[0] < 5_000 < len(gc.get_objects(generation=2))


@pytest.mark.parametrize("stream", [True, False])
def test_a_lost_connection_ends_its_reply(live: Live, stream: bool) -> None:
    talker, workers = live.served.talker, live.served.service.replies
    talker.gate = threading.Event()
    body = json.dumps({"message": "x", "stream": stream}).encode()
    head = f"POST /v1/chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {live.key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", live.port)) as lost:
        lost.sendall(head.encode() + body)
        until(lambda: workers.load == (1, 0))
    until(lambda: workers.load == (0, 0))
    assert talker.said == ["Here "]


def test_slow_senders_do_not_block_others(serve: Serve) -> None:
    with living(serve(body_seconds=0.5)) as live, contextlib.ExitStack() as open_sockets:
        head = f"POST /v1/chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {live.key}\r\n"
        head += "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
        slow = [open_sockets.enter_context(socket.create_connection(("127.0.0.1", live.port))) for _ in range(50)]
        for one in slow:
            one.sendall(head.encode())
        with client(live) as http:
            assert http.post("/v1/recommendations", json={"user": "u0"}).status_code == 200
            assert http.post("/v1/chat", json={"message": "x"}).status_code == 200
        for one in slow:
            one.settimeout(10)
            assert one.recv(12) == b"HTTP/1.1 408"


def test_a_body_longer_than_it_says_is_cut_off(live: Live) -> None:
    with socket.create_connection(("127.0.0.1", live.port)) as raw:
        raw.settimeout(10)
        head = f"POST /v1/chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {live.key}\r\n"
        raw.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        with contextlib.suppress(OSError):
            for _ in range(100):
                raw.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        assert raw.recv(12) == b"HTTP/1.1 413"


@contextlib.contextmanager
def process(saved: Path, folder: Path, grace: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of its own, and its address."""
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests" / "support")])
    script = [
        sys.executable,
        str(ROOT / "tests" / "support" / "quick_server.py"),
        str(saved),
        str(folder / "db"),
        str(grace),
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(script, text=True, env={**os.environ, "PYTHONPATH": paths}, **pipes) as server:  # type: ignore[call-overload]
        try:
            assert server.stdout
            yield server, server.stdout.readline().strip()
        finally:
            server.kill()


def stopped(server: subprocess.Popen[str], within: float) -> str:
    """What it left on stderr; it went by itself, and in time."""
    begun = time.monotonic()
    _, errors = server.communicate(timeout=within + 15)
    assert time.monotonic() - begun < within
    assert server.returncode in (0, -signal.SIGTERM)
    return str(errors)


def test_what_is_under_way_ends_before_the_process_does(saved: Path, tmp_path: Path) -> None:
    with process(saved, tmp_path, grace=15) as (server, address), httpx2.Client(base_url=address, timeout=20) as http:
        children = psutil.Process(server.pid).children()
        with http.stream("POST", "/v1/chat", json={"message": "x"}) as reply:
            chunks = reply.iter_text()
            told = next(chunks)
            server.send_signal(signal.SIGTERM)
            until(lambda: _refused(address))
            assert server.stdin
            server.stdin.write("\n")
            server.stdin.flush()
            told += "".join(chunks)
        assert [name for name, _ in events(told)] == ["token", "token", "token", "items", "done"]
        assert "Traceback" not in stopped(server, 10)
        assert children == []


def test_what_does_not_end_is_told_and_cut_short(saved: Path, tmp_path: Path) -> None:
    with process(saved, tmp_path, grace=0) as (server, address), httpx2.Client(base_url=address, timeout=20) as http:
        with http.stream("POST", "/v1/chat", json={"message": "x"}) as reply:
            chunks = reply.iter_text()
            told = next(chunks)
            server.send_signal(signal.SIGTERM)
            told += "".join(chunks)
        assert [name for name, _ in events(told)] == ["token", "error"]
        assert events(told)[-1][1]["error"]["type"] == "stopping"
        stopped(server, 4)


def _refused(address: str) -> bool:
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.socket() as one:
        return one.connect_ex((host, int(port))) != 0


def test_a_stopping_service_takes_nothing_new(serve: Serve) -> None:
    served = serve()
    served.service.drain()
    for method, path, body in (
        ("GET", "/readyz", None),
        ("POST", "/v1/chat", {"message": "x"}),
        ("POST", "/v1/recommendations", {"user": "u0"}),
    ):
        answer = served.ask(method, path, body)
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "stopping")
        assert answer.headers["retry-after"]
    assert served.ask("GET", "/healthz").status_code == 200


def test_answers_do_not_wait_for_the_client_to_acknowledge() -> None:
    """A kept connection sends head and body apart: with Nagle's algorithm the second waits some 40 ms."""
    with _listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()[:2]):
        taken, _ = listening.accept()
        with taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_addresses_are_told_as_browsers_read_them() -> None:
    with _listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert _address(first, "127.0.0.1") == f"http://127.0.0.1:{port}"
        with pytest.raises(UsageError, match=r"choose another --port"):
            _listen("127.0.0.1", port)
    with pytest.raises(UsageError, match="cannot listen"):
        _listen("no.such.host.invalid.", 1)
