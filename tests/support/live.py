"""A service on a real socket, in a thread of this process."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn
from served import Served


@dataclass
class Live:
    """Where it is, and how to come in."""

    served: Served
    url: str
    port: int
    key: str


@contextlib.contextmanager
def living(served: Served) -> Iterator[Live]:
    """Serves until the block ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(served.app, log_level="error", access_log=False, lifespan="off"))
    begun = threading.Event()
    startup = server.startup

    async def noted(sockets: list[socket.socket] | None = None) -> None:
        await startup(sockets)
        begun.set()

    server.startup = noted  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    assert begun.wait(20)
    port = listening.getsockname()[1]
    try:
        yield Live(served, f"http://127.0.0.1:{port}", port, next(iter(served.tokens.values()), ""))
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
