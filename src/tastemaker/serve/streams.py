"""A reply -> server-sent events, and an end to the reply when the stream ends, however it ends."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.types import Receive, Scope, Send

from tastemaker.serve.chat.dialogue import Event
from tastemaker.serve.problems import problem_of
from tastemaker.serve.talk import Reply

LOG = logging.getLogger("tastemaker.serve")


class EventStream(EventSourceResponse):
    """The events of a reply, as ``write`` puts them."""

    def __init__(self, reply: Reply, write: Callable[[Event], list[bytes]], *, ends: bytes, request_id: str) -> None:
        """``ends`` closes a stream, after an error too."""
        super().__init__(self._chunks(reply, write, ends, request_id), headers={"X-Accel-Buffering": "no"})
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._reply.stop()

    @staticmethod
    async def _chunks(
        reply: Reply, write: Callable[[Event], list[bytes]], ends: bytes, request_id: str
    ) -> AsyncIterator[bytes]:
        try:
            async for event in reply:
                for chunk in [KEEPALIVE_COMMENT] if event is None else write(event):
                    yield chunk
        except Exception as error:
            problem = problem_of(error)
            if problem.status == 500:
                LOG.error("failed id=%s %s", request_id, type(error).__name__)
            yield sent(problem.body(request_id), "error")
        if ends:
            yield ends


def sent(data: Any, event: str | None = None) -> bytes:
    """One event."""
    return format_sse_event(data_str=json.dumps(data, ensure_ascii=False, allow_nan=False), event=event)


async def whole(reply: Reply) -> list[Event]:
    """All events, once the reply has ended. Raises whatever ended it otherwise."""
    try:
        return [event async for event in reply if event is not None]
    finally:
        reply.stop()
