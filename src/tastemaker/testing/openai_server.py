"""A server on this machine that speaks OpenAI's protocol, well or badly: ``with serving("cut") as server:``."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TEXT = "A quiet drama.\nAnd more that nobody asked for."
FAULTS = ("error", "refusal", "stall", "garbage", "cut", "stall-midway", "wrong-json", "empty", "no-choices")


class Server(ThreadingHTTPServer):
    """``mode`` is "well" or one of `FAULTS` and may change at any time; ``asked`` are the requests' bodies."""

    daemon_threads = True

    def __init__(self, mode: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.mode, self.asked, self.text = mode, list[dict[str, Any]](), TEXT
        self.echoes, self.released = True, threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave are no news."""


class Handler(BaseHTTPRequestHandler):
    """Answers as the server's mode has it."""

    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        mode = self.server.mode
        if mode in ("error", "refusal"):
            return self._send({"error": {"message": "out of order"}}, 500 if mode == "error" else 400)
        if mode == "stall":
            self.server.released.wait(30)
            return None
        if mode in ("garbage", "wrong-json", "empty", "no-choices"):
            told = {"garbage": b"\xff<html>\x00", "wrong-json": b'{"choices": "none"}', "empty": b""}
            return self._raw(told.get(mode, b'{"choices": []}'), "application/json")
        if self.path.endswith("/chat/completions"):
            return self._stream(mode) if body.get("stream") else self._chat(body)
        return self._cut() if mode == "cut" else self._complete(body)

    def _chat(self, body: dict[str, Any]) -> None:
        text = self.server.text
        if "response_format" in body:
            schema = body["response_format"]["json_schema"]["schema"]
            text = json.dumps({"answer": schema["properties"]["answer"]["enum"][-1]})
            text = '{"answer": "something else"}' if self.server.mode == "cut" else text
        self._send({"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": text}}]})

    def _complete(self, body: dict[str, Any]) -> None:
        words = [word for word in body["prompt"].split(" ") if word]
        starts = [body["prompt"].find(word, 0) for word in words]
        told = {"text_offset": starts, "token_logprobs": [None, *(-float(len(w)) for w in words[1:])]}
        self._send({"choices": [{"index": 0, "text": "", "logprobs": told if self.server.echoes else None}]})

    def _cut(self) -> None:
        """The beginning of an answer that says it is longer."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"choices": [')
        self.connection.shutdown(socket.SHUT_RDWR)

    def _stream(self, mode: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        pieces = [self.server.text[i : i + 5] for i in range(0, len(self.server.text), 5)]
        for number, piece in enumerate([*pieces, None]):
            if number == 2 and mode == "stall-midway":
                self.server.released.wait(30)
            if number == 2 and mode in ("cut", "stall-midway"):
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            choice = {"index": 0, "delta": {"content": piece}, "finish_reason": None if piece else "stop"}
            self.wfile.write(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, value: object, status: int = 200) -> None:
        self._raw(json.dumps(value).encode(), "application/json", status)

    def _raw(self, data: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(mode: str = "well") -> Iterator[Server]:
    """The server, in a thread, until the block ends."""
    server = Server(mode)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
