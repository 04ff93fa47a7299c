"""A connection -> a whole body of bounded size, and an end to the work when the client has left."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tastemaker.serve.envelope import ClientLeft
from tastemaker.serve.problems import Problem
from tastemaker.serve.settings import Settings


class Connection:
    """Reads the body before anything is done with it, and cancels what nobody waits for, streamed or not."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, unless its client leaves first."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await self._body(Headers(scope=scope), receive)
        left, ended = asyncio.Event(), False
        parts = [body]

        async def receiving() -> Message:
            if parts:
                return {"type": "http.request", "body": parts.pop(), "more_body": False}
            await left.wait()
            return {"type": "http.disconnect"}

        async def sending(message: Message) -> None:
            nonlocal ended
            async with asyncio.timeout(self._settings.send_seconds):
                await send(message)
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)

        answering = asyncio.ensure_future(self._app(scope, receiving, sending))
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done() and ended:  # it was told everything; let the rest be cleared up
                await asyncio.wait({answering})
        finally:
            left.set()
            for task in (answering, leaving):
                task.cancel()
            await asyncio.wait({answering, leaving})
        if answering.cancelled():
            raise ClientLeft
        answering.result()

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        limit = self._settings.body_bytes
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Problem(415, "not_supported", "send the body as it is, not compressed")
        said = headers.get("content-length", "")
        if said.isdecimal() and int(said[:20]) > limit:
            raise _too_large(limit)
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientLeft
                    body += message.get("body", b"")
                    if len(body) > limit:
                        raise _too_large(limit)
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise Problem(408, "too_slow", "the body did not arrive in time") from None


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _too_large(limit: int) -> Problem:
    return Problem(413, "too_large", f"a body has at most {limit} bytes")
