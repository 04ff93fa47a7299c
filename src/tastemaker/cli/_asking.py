"""A saved recommender, users and files of ids -> who is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tastemaker.errors import DataError, UsageError


def ids_in(path: Path) -> list[str]:
    """The ids in a file, one a line; blank lines are skipped. Raises `DataError`."""
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", path) from error
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text; expected item ids, one a line", path) from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def require_one(users: Sequence[str] | None, history: Path | None) -> None:
    """Raise `UsageError` unless there is either a user or a history."""
    if bool(users) == (history is not None):
        raise UsageError("say for whom: --user ID for a known user, or --history FILE for somebody new")
