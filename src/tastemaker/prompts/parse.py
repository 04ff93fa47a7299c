"""Completion -> candidate: which of the titles shown, if any, a model's text names."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tastemaker.prompts.clean import clean


@dataclass(frozen=True, slots=True)
class Parsed:
    """The candidate a completion names, by its place in the list shown, and how the two matched."""

    index: int | None
    how: Literal["exact", "normalised", "substring", "none"]


NOTHING = Parsed(None, "none")
"""The completion names no candidate, or more than one."""


def parse(completion: str, candidates: Sequence[str]) -> Parsed:
    """The one candidate whose title is the completion's first line; for any text whatever, never an exception.

    A title equal to the letter wins, so ``Alien`` never means ``Aliens``; failing that, one that is equal but for
    case, spaces and punctuation. A title that two candidates share names neither: guessing the first would credit
    items for their place in the list. Whoever shows such titles must tell them apart (by year, letter or number).
    """
    lines = completion.strip().splitlines()
    answer = clean(lines[0], sys.maxsize) if lines else ""
    shown = [clean(title) for title in candidates]
    if answer in shown:
        return _only([i for i, title in enumerate(shown) if title == answer], "exact") if answer else NOTHING
    key = _normalised(answer)
    return _only([i for i, title in enumerate(shown) if key and _normalised(title) == key], "normalised")


def parse_substring(completion: str, candidates: Sequence[str]) -> Parsed:
    """The candidate by LLaRA's own rule: the only one whose title occurs anywhere in the lower-cased first line.

    Kept to reproduce its valid ratio. The rule calls a perfect ``Aliens`` invalid when ``Alien`` is shown as well.
    """
    answer = completion.partition("\n")[0].strip().lower()
    titles = [title.strip().lower() for title in candidates]
    return _only([i for i, title in enumerate(titles) if title and title in answer], "substring")


def _only(found: list[int], how: Literal["exact", "normalised", "substring"]) -> Parsed:
    return Parsed(found[0], how) if len(found) == 1 else NOTHING


def _normalised(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if not c.isspace() and not unicodedata.category(c).startswith("P"))
