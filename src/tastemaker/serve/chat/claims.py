"""A sentence and the items it is about -> what in it is not true; it reads, and knows nothing of who wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tastemaker.prompts.clean import clean
from tastemaker.serve.chat.schema import Schema

Row = Mapping[str, object]
_NUMBER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(s?)(?!\w)")
_MARKUP = re.compile(r"https?:|www\.|[<>{}\[\]|\\`*_#]")
_QUOTES = '"“”«»'
_WORD = re.compile(r"\w+")
_OURS = frozenset(["a", "and", "has", "it", "know", "named", "shares", "that", "the", "which", "with", "you"])
"""Words of our own sentences, should a catalogue use one of them as a value."""


class Checker:
    """Checks sentences against the rows of one catalogue."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._values: dict[str, set[str]] = {}
        for values in schema.values.values():
            for value in values:
                folded = value.casefold()
                if folded not in _OURS and (words := _WORD.findall(folded)):
                    self._values.setdefault(words[0], set()).add(folded)

    def wrong(self, sentence: str, items: Sequence[Row], numbers: Sequence[float] = ()) -> list[str]:
        """Everything in the sentence that the items do not bear out: titles, values, years, other numbers, markup.

        What is said must be true of every one of the items. ``numbers`` may stand in it besides.
        """
        rest = sentence
        for title in sorted({clean(str(row.get("title") or "")) for row in items} - {""}, key=len, reverse=True):
            rest = rest.replace(f'"{title}"', " ")
        found = ["a title that is not known"] if any(quote in rest for quote in _QUOTES) else []
        found += ["markup or an address"] if _MARKUP.search(rest) else []
        held = self.held(items)
        found += sorted(value for value in self._mentioned(rest.casefold()) if value not in held)
        return found + [told[0] for told in _NUMBER.finditer(rest) if not self._true(told, items, numbers)]

    def _mentioned(self, text: str) -> set[str]:
        """Values of the catalogue that stand in the text as words of their own; the longest takes its place."""
        likely = {value for word in {*_WORD.findall(text)} for value in self._values.get(word, ())}
        found = set()
        for value in sorted(likely, key=len, reverse=True):
            if value not in text:
                continue  # thousands may begin with "the", and a pattern for each would take a second
            cut = re.sub(rf"(?<![\w-]){re.escape(value)}(?![\w-])", " ", text)
            if cut != text:
                found.add(value)
                text = cut
        return found

    def held(self, items: Sequence[Row]) -> set[str]:
        """The values that all of the items have, in lower case."""
        sets = []
        for row in items:
            values = [row.get(field) for field in self.schema.values]
            sets.append({str(one).casefold() for v in values for one in (v if isinstance(v, list) else [v])})
        return set.intersection(*sets) if sets else set()

    def _true(self, told: re.Match[str], items: Sequence[Row], numbers: Sequence[float]) -> bool:
        number, decade = float(told[1]), bool(told[2])
        if number in numbers:
            return True
        fields = [field for field, kind in self.schema.kinds.items() if kind == "number"]
        known = [[v for f in fields if isinstance(v := row.get(f), int | float)] for row in items]
        return bool(known) and all(any((v // 10 * 10 if decade else v) == number for v in own) for own in known)
