"""The JSON prompts TALLRec released -> titles liked, titles disliked, the title asked about and the answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tastemaker.data.instructions import read_instructions
from tastemaker.data.readers.base import find
from tastemaker.errors import DataError

SHAPE = re.compile(
    r"User Preference: ?(?P<liked>.*)\nUser Unpreference: ?(?P<disliked>.*)\n"
    r"Whether the user will like the target (?:movie|book) (?P<target>.*)\?\s*",
    re.DOTALL,
)
ANSWERS = {"Yes.": True, "No.": False}


@dataclass(frozen=True, slots=True)
class Asked:
    """One released prompt."""

    liked: tuple[str, ...]
    disliked: tuple[str, ...]
    target: str
    answer: bool


def find_part(folder: Path, part: str) -> Path:
    """The JSON file of that part, as released or rebuilt. Raises `DataError` if there is none."""
    return find(folder, f"{part}.json", f"{part}_rebuilt.json")


def read_asked(path: Path) -> list[Asked]:
    """The prompts of a file. Raises `DataError` naming the one that is not of TALLRec's shape."""
    return [_asked(path, at, one.input, one.output) for at, one in enumerate(read_instructions(path), start=1)]


def _asked(path: Path, at: int, text: str, output: str) -> Asked:
    found, answer = SHAPE.fullmatch(text), ANSWERS.get(output.strip())
    if found is None or answer is None:
        raise DataError('is not a question of TALLRec with the answer "Yes." or "No."', path, at)
    liked, disliked = (_titles(found[part]) for part in ("liked", "disliked"))
    return Asked(liked, disliked, _target(found["target"]), answer)


def _titles(text: str) -> tuple[str, ...]:
    """What stands in quotes, separated by commas; a title may hold quotes of its own."""
    parts = re.split(r', (?=")', text.strip()) if text.strip() else []
    return tuple(_title(part) for part in parts)


def _target(text: str) -> str:
    """The title asked about; in the book files it stands in quotes twice, with the author inside the outer ones."""
    doubled = re.fullmatch(r'""(.*)" written by (.*)"', text.strip(), re.DOTALL)
    return f"{doubled[1]} by {doubled[2]}" if doubled else _title(text)


def _title(text: str) -> str:
    """Without its quotes, the author of a book after it."""
    found = re.fullmatch(r'"(.*)"(?: ?written by (.*))?', text.strip(), re.DOTALL)
    if found is None:
        return text.strip()
    return f"{found[1]} by {found[2]}" if found[2] else found[1]
