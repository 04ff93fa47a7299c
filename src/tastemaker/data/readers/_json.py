"""A JSONL file -> rows of text in the columns of its first object."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tastemaker.data.readers._rows import Row, lines
from tastemaker.errors import DataError


def rows(path: Path, encoding: str) -> tuple[list[str], Iterator[Row]]:
    """The keys of the first object, and each line's values for them, numbers as they are written; absent is empty."""
    parsed = _objects(path, encoding)
    line, first = next(parsed, (1, "is empty"))
    if isinstance(first, str):
        raise DataError(first, path, line)
    header = list(first)
    return header, ((number, _values(found, header)) for number, found in itertools.chain([(line, first)], parsed))


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
