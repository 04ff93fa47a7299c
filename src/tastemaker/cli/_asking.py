"""A saved recommender, users and files of ids -> who is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tastemaker.errors import DataError, UsageError


def ids_in(path: Path) -> list[str]:
    """The ids in a file, one a line; blank lines are skipped. Raises `DataError`."""
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path) from error
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text; expected ids, one a line", path) from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def policy(unknown: str) -> Literal["error", "skip"]:
    """What ``--unknown`` says. Raises `UsageError`."""
    if unknown not in ("error", "skip"):
        raise UsageError(f"--unknown is error or skip, not {unknown}")
    return "skip" if unknown == "skip" else "error"


def require_one(users: Sequence[str] | None, history: Path | None) -> None:
    """Raise `UsageError` unless there is either a user or a history."""
    if bool(users) == (history is not None):
        both = ", not both" if users else ""
        raise UsageError(f"say for whom: --user ID for a known user, or --history FILE for somebody new{both}")


def candidates_in(path: Path | None) -> list[str] | None:
    """The ids in a file, of which there is one at least; None: the whole catalogue. Raises `DataError`."""
    if path is None:
        return None
    found = ids_in(path)
    if not found:
        raise DataError("holds no ids; without --candidates the whole catalogue is ranked", path)
    return found
