"""A URL -> bytes on disk: short waits, a size cap, and a cut download that goes on where it stopped."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from tastemaker.errors import SourceError

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
PATIENCE_SECONDS = 60.0
"""After this long, a download slower than ``SLOWEST`` bytes a second is given up."""
SLOWEST = 10_000
TRIES, MOST_TRIES = 3, 100
"""Attempts in a row that may bring nothing new, and attempts in all."""
BLOCK = 1 << 16

Report = Callable[[float, float | None], None]


def download(url: str, to: Path, max_bytes: int, report: Report) -> None:
    """``to`` holds what the URL serves; bytes it already holds are asked for no more. Raises `SourceError`.

    It may end up longer than ``max_bytes``, by one block: whoever verifies it refuses it then.
    """
    fruitless, problem = 0, ""
    for _ in range(MOST_TRIES):
        before = to.stat().st_size if to.exists() else 0
        try:
            if _attempt(url, to, before, max_bytes, report):
                return
            problem = "the connection was cut"
        except (OSError, ValueError, http.client.HTTPException) as e:
            problem = _words(e)
            refused = isinstance(e, urllib.error.HTTPError) and e.code < http.HTTPStatus.INTERNAL_SERVER_ERROR
            if refused or not to.exists():  # not a byte came: another mirror is the better bet
                raise SourceError(problem) from None
        gained = to.exists() and to.stat().st_size > before
        fruitless = 0 if gained else fruitless + 1
        if fruitless >= TRIES:
            break
    raise SourceError(problem)


def _attempt(url: str, to: Path, have: int, max_bytes: int, report: Report) -> bool:
    """Whether the file is complete now."""
    headers = {"User-Agent": "tastemaker", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        request = urllib.request.Request(_checked(url), headers=headers)  # noqa: S310 - checked here
        response = _opener().open(request, timeout=CONNECT_SECONDS)
    except urllib.error.HTTPError as e:
        e.close()
        if e.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        return True  # nothing is left to send: whether the bytes are right, their hash will tell
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        have = have if resumed else 0
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isascii() and length.isdigit() and len(length) < 16 else None
        if total is not None and total > max_bytes:
            raise SourceError(f"announces {total:,} bytes, more than the {max_bytes:,} allowed")
        with to.open("ab" if have else "wb") as out:
            written = have + _copy(response, out, max_bytes - have, lambda n: report(have + n, total))
    return total is None or written == total


def _copy(response: Any, out: IO[bytes], allowed: int, report: Callable[[int], None]) -> int:
    written, start = 0, time.monotonic()
    while written <= allowed and (block := response.read1(BLOCK)):
        written += len(block)
        out.write(block)
        report(written)
        waited = time.monotonic() - start
        if waited > PATIENCE_SECONDS and written < SLOWEST * waited:
            raise SourceError(f"is too slow: {written:,} bytes in {waited:.0f} seconds")
    return written


def _checked(url: str) -> str:
    if urlsplit(url).scheme not in ("https", "http"):
        raise SourceError("is not an http or https address")
    return url


def _words(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code}"
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    if isinstance(reason, socket.gaierror):
        return "its host cannot be found"
    if isinstance(reason, OSError):
        return reason.strerror or type(reason).__name__
    return "the connection was cut" if isinstance(reason, http.client.IncompleteRead) else "its answer makes no sense"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect within its origin, or to https at a named host: never to a file or a bare address."""

    max_redirections = 5

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        same = (old.scheme, old.netloc) == (new.scheme, new.netloc)
        if not same and (new.scheme != "https" or _is_local(new.hostname or "")):
            raise SourceError("redirects to a place that is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _is_local(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or "." not in host
    return True


class _Patient:
    """A connection that is given up soon while it is made, and later while it is read."""

    sock: socket.socket
    timeout: float | None

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.sock.settimeout(READ_SECONDS)


class _Plain(_Patient, http.client.HTTPConnection):
    pass


class _Secure(_Patient, http.client.HTTPSConnection):
    pass


class _PlainHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Plain, req)


class _SecureHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Secure, req)


def _opener() -> urllib.request.OpenerDirector:
    """Only http and https, through the proxies of the environment."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
        _PlainHandler(),
        _SecureHandler(),
    ):
        opener.add_handler(handler)
    return opener
