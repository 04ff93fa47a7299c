"""An app in this process, and ways to ask it over ASGI, without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
from talker import Talker

from tastemaker.serve.service import Service

KEYS = {"ann": "ann-has-a-key-of-her-own", "bob": "bob-has-a-key-of-his-own"}


@dataclass
class Served:
    """An app, and ways to ask it."""

    service: Service
    talker: Talker
    app: Any
    tokens: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None, **options: Any) -> Any:
        """One request, whole; ``key`` names whose key is sent, ``None`` the first there is."""
        return asyncio.run(self.asked(method, path, body, key=key, **options))

    async def asked(self, method: str, path: str, body: Any = None, *, key: str | None = None, **options: Any) -> Any:
        options.setdefault("headers", {})
        token = next(iter(self.tokens.values()), None) if key is None else self.tokens.get(key, key)
        if token:
            options["headers"] = {"authorization": f"Bearer {token}", **options["headers"]}
        if body is not None:
            options["json"] = body
        transport = httpx2.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **options)


Serve = Callable[..., Served]
"""Makes services, with any `Settings`."""


def events(text: str) -> list[tuple[str, Any]]:
    """The server-sent events of an answer: names and JSON."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":") and line)
        if lines:
            data = lines["data"]
            found.append((lines.get("event", ""), data if data == "[DONE]" else json.loads(data)))
    return found
