"""Every request -> an answer with an id, the headers that browsers heed, one line of log, and never a traceback."""

from __future__ import annotations

import logging
import re
import secrets
import time
import traceback

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tastemaker.serve.metrics import Metrics
from tastemaker.serve.problems import Problem, problem_of

LOG = logging.getLogger("tastemaker.serve")
LEFT = 499
"""The status that logs show for a client that did not wait."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "connect", "img")),
        *(f"{kind} 'none'" for kind in ("base-uri", "form-action", "frame-ancestors")),
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


class ClientLeft(Exception):
    """There is nobody to answer to."""


class Envelope:
    """The outermost layer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens inside."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else secrets.token_hex(16)
        scope.setdefault("state", {})["request_id"] = request_id
        begun, status = time.monotonic(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": _headers(message, scope["path"], request_id)}
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientLeft:
            status = LEFT
        except Exception as error:
            if not isinstance(error, Problem):
                LOG.error("failed id=%s %s", request_id, _where(error))
            if not status:
                await problem_of(error).response(request_id)(scope, receive, sending)
        finally:
            self._note(scope, request_id, status, time.monotonic() - begun)

    def _note(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in {"GET", "POST", "PATCH", "DELETE", "HEAD"} else "other"
        self._metrics.requests.labels(method, route, status or LEFT).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        LOG.info(
            "answered id=%s method=%s route=%s status=%d ms=%.0f", request_id, method, route, status, 1000 * seconds
        )


def _headers(message: Message, path: str, request_id: str) -> list[tuple[bytes, bytes]]:
    ours = {**HEADERS, "x-request-id": request_id}
    if not path.startswith("/static/"):
        ours["cache-control"] = "no-store"
    kept = [(name, value) for name, value in message.get("headers", []) if name.decode("latin-1").lower() not in ours]
    return [*kept, *((name.encode(), value.encode()) for name, value in ours.items())]


def _where(error: BaseException) -> str:
    """The exception's type and where it was raised; not its words, which may be somebody's."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return type(error).__name__ + "".join(f" < {frame.name}:{frame.lineno}" for frame in reversed(frames))
