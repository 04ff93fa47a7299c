"""A catalogue -> an index of what people call its items and its values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from itertools import chain
from typing import TypeVar

import polars as pl

from tastemaker.prompts.clean import clean, plain_title
from tastemaker.serve.chat.lexicon import SYNONYMS, key, singular
from tastemaker.serve.chat.schema import Schema

T = TypeVar("T")
_YEAR = re.compile(r"\((\d{4})\)")
_LONGEST_TITLE, _LONGEST_VALUE = 16, 6
_ARTICLES = ("the", "a", "an")
_SAID = {one: [key(said) for said, meant in SYNONYMS.items() if one in meant] for one in chain(*SYNONYMS.values())}
"""What each value that has synonyms is called besides."""


class Vocabulary:
    """Finds titles and values in a sequence of words, the longest first."""

    def __init__(self, items: pl.DataFrame, schema: Schema) -> None:
        self._titles: dict[tuple[str, ...], list[str]] = {}
        for item_id, title in zip(items["item_id"], items["title"], strict=True):
            self.add(item_id, title or "")
        self._name_all(schema)

    def extended(self, items: pl.DataFrame, schema: Schema) -> Vocabulary:
        """The same with more items, in the time that these take; this one stays as it is for whoever reads it."""
        found, fresh = copy(self), Vocabulary(items, Schema({}, {}))._titles
        found._titles = {**self._titles, **{name: [*self._titles.get(name, ()), *ids] for name, ids in fresh.items()}}
        if schema.values != self._named:
            found._name_all(schema)
        return found

    def add(self, item_id: str, title: str) -> None:
        """One more item."""
        plain = key(plain_title(clean(title)))
        year = _YEAR.search(title)
        short = plain[1:] if len(plain) > 1 and plain[0] in _ARTICLES else plain
        for name in {plain, short, key(title), (*plain, *([year[1]] if year else []))} - {()}:
            if len(name) <= _LONGEST_TITLE:
                self._titles.setdefault(name, []).append(item_id)

    def title(self, words: Sequence[str], start: int) -> tuple[int, list[str]]:
        """How many words from ``start`` are a title, and the ids of those who bear it; (0, []) if they are none."""
        return _longest(self._titles, words, start, _LONGEST_TITLE) or (0, [])

    def value(self, words: Sequence[str], start: int) -> tuple[int, str, str]:
        """How many words from ``start`` are a value, its column and itself; (0, "", "") if they are none."""
        found = _longest(self._values, words, start, _LONGEST_VALUE)
        if found is None:
            stems = [singular(word) for word in words[start : start + _LONGEST_VALUE]]
            found = _longest(self._values, stems, 0, _LONGEST_VALUE)
        return (found[0], *found[1]) if found else (0, "", "")

    def _name_all(self, schema: Schema) -> None:
        self._values: dict[tuple[str, ...], tuple[str, str]] = {}
        self._named = schema.values
        for field, values in schema.values.items():
            for value in sorted(values):
                self._name(field, value)

    def _name(self, field: str, value: str) -> None:
        own = key(value)
        names = {own, tuple(map(singular, own)), *_SAID.get(" ".join(own), ())}
        for name in names - {()}:
            self._values.setdefault(name, (field, value))  # the first column wins


def _longest(index: Mapping[tuple[str, ...], T], words: Sequence[str], start: int, limit: int) -> tuple[int, T] | None:
    """The most words from ``start`` that the index knows, punctuation skipped, with how many places they take."""
    taken: list[str] = []
    best = None
    for place in range(start, min(len(words), start + limit)):
        if words[place].isalnum():
            taken.append(words[place])
        elif not taken:
            break
        if words[place].isalnum() and (found := index.get(tuple(taken))) is not None:
            best = place - start + 1, found
    return best
