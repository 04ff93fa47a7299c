"""A JSONL file -> rows of text in the columns that any of its objects has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tastemaker.data.readers._rows import Row, lines
from tastemaker.errors import DataError

MOST_KEYS = 1000


def rows(path: Path, encoding: str) -> tuple[list[str], Iterator[Row]]:
    """All keys, the earliest first, and each line's values for them, numbers as they are written; absent is empty."""
    header = _keys(path, encoding)
    return header, ((number, _values(found, header)) for number, found in _objects(path, encoding))


def _keys(path: Path, encoding: str) -> list[str]:
    keys, first = dict[str, None](), (1, "is empty")
    for number, found in _objects(path, encoding):
        if isinstance(found, str):
            first = (number, found) if first == (1, "is empty") else first
            continue
        keys.update(dict.fromkeys(found))
        if len(keys) > MOST_KEYS:
            raise DataError(f"has more than {MOST_KEYS:,} different keys by this line", path, number)
    if not keys:
        raise DataError(first[1], path, first[0])
    return list(keys)


def _objects(path: Path, encoding: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, text, problem in lines(path, encoding):
        if not text.strip():
            continue
        try:
            found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError):
            yield number, problem or "is not JSON"
        else:
            yield number, problem or (found if isinstance(found, dict) else "is not a JSON object")


def _values(found: dict[str, Any] | str, header: list[str]) -> list[str] | str:
    if isinstance(found, str):
        return found
    values = []
    for name in header:
        value = found.get(name)
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            value = "|".join(value)
        if not (value is None or isinstance(value, str)):
            return f"{name} is not a text or number"
        if any("\ud800" <= c <= "\udfff" for c in value or ""):
            return f"{name} holds half a character"
        values.append(value or "")
    return values
