"""An app and an address -> a server that stops gracefully: what is under way ends, and says so if it was cut short."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from tastemaker.errors import UsageError
from tastemaker.serve.service import Service


def run(app: FastAPI, host: str, port: int, *, ready: Callable[[str], None]) -> None:
    """Serve until a signal; ``ready`` is told the address once connections are taken. Raises `UsageError`."""
    service: Service = app.state.service
    with _listen(host, port) as listening:
        # What was loaded stays: looked through for cycles time and again, it would hold up every answer for 0.3 s.
        gc.collect()
        gc.freeze()
        _Server(app, service, lambda: ready(_address(listening, host))).run(sockets=[listening])


class _Server(uvicorn.Server):
    def __init__(self, app: FastAPI, service: Service, ready: Callable[[], None]) -> None:
        # What uvicorn would log of requests, paths and addresses, is not for logs.
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=service.settings.grace + 2,
        )
        super().__init__(config)
        self._service, self._ready = service, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more; cut short what has not ended shortly before the grace does, so that it can still say so."""
        self._service.drain()
        cut = asyncio.get_running_loop().call_later(self._service.settings.grace, self._service.close)
        await super().shutdown(sockets)
        cut.cancel()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host.strip("[]"), port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such port"
        raise UsageError(f"cannot listen on {host}:{port} ({reason}); choose another --port") from error
    # asyncio does this for sockets it opens itself; without it a kept connection waits 40 ms for each answer's body.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _address(listening: socket.socket, host: str) -> str:
    name = f"[{host.strip('[]')}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}"
