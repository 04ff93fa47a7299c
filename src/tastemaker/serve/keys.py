"""A file or a variable of keys -> who it is that calls; only their hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path

from tastemaker.artifacts import checked_name
from tastemaker.errors import ConfigError, UsageError

VARIABLE = "TASTEMAKER_API_KEY"
LOCAL = "local"
"""Who calls where there are no keys: the person at this machine."""
SHORTEST = 20
_HASHED = re.compile(r"sha256:([0-9a-f]{64})")


class Keys:
    """Names and the SHA-256 of each one's key; false where there are none."""

    def __init__(self, digests: Mapping[str, bytes] | None = None) -> None:
        self._digests = dict(digests or {})

    def __bool__(self) -> bool:
        return bool(self._digests)

    def __repr__(self) -> str:
        return f"Keys({', '.join(self._digests)})"

    @classmethod
    def read(cls, path: Path | None, environment: Mapping[str, str]) -> Keys:
        """Those in the file, ``NAME KEY`` a line, and the one in ``TASTEMAKER_API_KEY``. Raises `ConfigError`.

        A key may be written as ``sha256:`` and its hash, so that the file holds no secret.
        """
        lines = [] if path is None else _lines(path)
        if VARIABLE in environment:
            lines.append((VARIABLE, f"default {environment[VARIABLE]}"))
        digests: dict[str, bytes] = {}
        for where, line in lines:
            name, digest = _entry(where, line)
            if name in digests:
                raise ConfigError(f"{where}: {name!r} has a key already; give this one another name")
            digests[name] = digest
        if path is not None and not digests:
            raise ConfigError(f"{path}: has no keys; write NAME KEY on a line")
        return cls(digests)

    def owner(self, given: str) -> str | None:
        """Whose key it is, found in the same time whoever's it is."""
        digest, found = _sha256(given), None
        for name, known in self._digests.items():
            if hmac.compare_digest(digest, known):
                found = name
        return found


def require_safe(host: str, keys: Keys) -> None:
    """Raise `UsageError` if anybody but this machine could come in without a key."""
    if not keys and not is_loopback(host):
        raise UsageError(f"{host} can be reached by others: give --key-file FILE or {VARIABLE}, or serve 127.0.0.1")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _lines(path: Path) -> list[tuple[str, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read ({reason})") from error
    numbered = ((f"{path}:{number}", line.strip()) for number, line in enumerate(text.split("\n"), start=1))
    return [(where, line) for where, line in numbered if line and not line.startswith("#")]


def _entry(where: str, line: str) -> tuple[str, bytes]:
    """Errors tell no part of the line, which may be a key."""
    name, _, key = line.partition(" ")
    key = key.strip()
    try:
        checked_name(name)
    except UsageError:
        raise ConfigError(f"{where}: not NAME KEY; a name is of a-z 0-9 . _ - and stands before its key") from None
    if hashed := _HASHED.fullmatch(key):
        return name, bytes.fromhex(hashed[1])
    if len(key) < SHORTEST or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"{where}: a key has at least {SHORTEST} printable ASCII characters and no blanks")
    return name, _sha256(key)


def _sha256(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
