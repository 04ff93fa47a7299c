"""A request's address, origin and key -> who calls, or a refusal before anything else is looked at."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tastemaker.serve.keys import LOCAL, Keys, is_loopback
from tastemaker.serve.problems import Problem
from tastemaker.serve.rates import Buckets
from tastemaker.serve.settings import Settings

OPEN = frozenset({"/", "/healthz", "/readyz"})
"""Answered without a key, as is everything below ``/static/``."""
FOR_MODELS = frozenset({"/v1/recommendations", "/v1/scores", "/v1/explanations", "/v1/chat", "/v1/chat/completions"})
_CHEAP = 0.1
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Lets in whoever may come in, as often as they may."""

    def __init__(self, app: ASGIApp, keys: Keys, settings: Settings) -> None:
        self._app, self._keys = app, keys
        self._rates = Buckets(settings.rate, settings.burst)
        self._wrong = Buckets(settings.wrong_keys, settings.wrong_keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, with ``caller`` in its state, or raise `Problem`."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if not self._keys:
                _require_local(headers)
            if scope["method"] not in _SAFE:
                _require_same_origin(headers)
            if not _is_open(scope["path"]):
                scope["state"]["caller"] = self._caller(scope, headers)
        await self._app(scope, receive, send)

    def _caller(self, scope: Scope, headers: Headers) -> str:
        if not self._keys:
            return LOCAL
        given = _key(headers)
        if not given:
            raise Problem(401, "unauthorized", "send your key: Authorization: Bearer KEY")
        owner = self._keys.owner(given)
        if owner is None:
            wait = self._wrong.take(str((scope.get("client") or ("",))[0]))
            if wait:
                raise Problem(429, "rate_limited", "too many wrong keys came from there; wait", retry_after=wait)
            raise Problem(401, "unauthorized", "that is not a key")
        wait = self._rates.take(owner, 1.0 if scope["path"] in FOR_MODELS else _CHEAP)
        if wait:
            raise Problem(429, "rate_limited", "this key has asked too often; wait", retry_after=wait)
        return owner


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith("/static/")


def _key(headers: Headers) -> str:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def _require_local(headers: Headers) -> None:
    """Without keys, a page elsewhere could reach us under a name of its own that leads to this machine."""
    try:
        host = urlsplit("//" + headers.get("host", "")).hostname or ""
    except ValueError:
        host = ""
    if not is_loopback(host):
        raise Problem(421, "wrong_host", "without keys, this service answers to localhost only")


def _require_same_origin(headers: Headers) -> None:
    """Browsers say where a request comes from; nothing is changed on behalf of a page elsewhere."""
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    same = origin is None or origin.partition("://")[2] == headers.get("host")
    if (site not in ("same-origin", "none")) if site else not same:
        raise Problem(403, "forbidden", "the request comes from another site")
