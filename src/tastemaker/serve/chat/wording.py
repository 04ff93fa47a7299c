"""Words in a row -> constraints, titles liked or not, references to the list shown, and what is left to search for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from statistics import median_low
from typing import Literal

from tastemaker.serve.chat import lexicon
from tastemaker.serve.chat.dialogue import Dialogue, Filter
from tastemaker.serve.chat.request import Request
from tastemaker.serve.chat.schema import Schema
from tastemaker.serve.chat.vocabulary import Vocabulary

_NO_YEARS = "The catalogue does not say from when things are."
_PARTS = {"early": (0, 3), "mid": (3, 6), "late": (7, 9)}
_BEFORE = frozenset(["before", "pre", "until", "till", "to"])
_AFTER = frozenset(["after", "since", "post", "from"])


class Reading:
    """One text, read from left to right; ``compares`` tells whether it referred to what was shown."""

    def __init__(
        self,
        words: Sequence[str],
        dialogue: Dialogue,
        schema: Schema,
        vocabularies: Sequence[Vocabulary],
        row: Callable[[str], Mapping[str, object]],
    ) -> None:
        self.words, self.dialogue, self.schema = list(words), dialogue, schema
        self._vocabulary, self._vocabularies, self._row = vocabularies[0], vocabularies, row
        self._compared: list[tuple[str, int, list[str]]] = []
        self._quotes: set[tuple[str, ...]] = set()
        self._left: list[str] = []
        self._negative = False
        self._denies = False  # whether nothing was named since the negation: a time may be what it is about
        self._last: str | None = None
        self.compares = False

    def quote(self, title: tuple[str, ...]) -> None:
        """Note words that stood in quotation marks: if they are a title, they mean it."""
        self._quotes.add(title)

    def target(self) -> str | None:
        """The item the text is about: a place in the list, "this one", a title; or else what was spoken of last."""
        for at in range(len(self.words)):
            if (found := self._reference(at)) is not None:
                return found[1]
        for at in range(len(self.words)):
            size, ids = self._title(at)
            if ids and self._is_title(at, size):
                return self._best(ids)
        return None

    def subject(self, at: int) -> str | None:
        """The item that a question goes on with here: ``the second one scary``, or ``it scary`` after one alone."""
        if self.words[at : at + 1] == ["the"] and not self._title(at)[0]:
            at += 1
        if (found := self._item(at)) is not None:
            return found[1]
        return self._alone() if self.words[at : at + 1] in (["it"], ["this"], ["that"]) else None

    def read(self, request: Request) -> None:
        """Fill in everything the words say."""
        at = 0
        while at < len(self.words):
            at += self._step(at, request)
        self._compare(request)
        request.wish = " ".join(word for word in self._left if word not in lexicon.STOP | lexicon.NEGATIONS)

    def _step(self, at: int, request: Request) -> int:
        """Read on from one place; how many words were taken."""
        word = self.words[at]
        if word in lexicon.TURNS or (word in ("and", "or", ",") and not self._goes_on(at + 1)):
            self._negative = False
        for read in (self._items, self._time, self._role, self._value, self._comparison):
            if taken := read(at, request):
                self._denies = False
                return taken
        denial = next((one for one in lexicon.DENIALS if [*self._left[1 - len(one) :], word] == one), None)
        if denial is not None:
            self._left[1 - len(denial) :], word = [], "not"
        if word in lexicon.NEGATIONS and self.words[at + 1 : at + 2] != ["there"]:  # "isn't there a comedy"
            self._negative = self._denies = True
        elif word not in lexicon.STOP and lexicon.singular(word) not in lexicon.KIND_NOUNS:
            self._denies = False
        self._left.append(word)
        return 1

    def _goes_on(self, at: int) -> bool:
        """Whether a list of values goes on here: ``no horror, war or crime``."""
        return at < len(self.words) and bool(self._vocabulary.value(self.words, at)[0])

    # --- values and comparisons ---

    def _value(self, at: int, request: Request) -> int:
        size, field, value = self._vocabulary.value(self.words, at)
        if not size:
            return 0
        denied = self._negative or bool({*self.words[max(0, at - 1) : at]} & lexicon.DENY_ONE)
        op, last = ("is-not" if denied else "is"), request.filters[-1] if request.filters else None
        either = at > 0 and self.words[at - 1] == "or" and not denied
        if either and last is not None and (last.field, last.op) == (field, "is") and not isinstance(last.value, float):
            earlier = last.value if isinstance(last.value, list) else [last.value]
            request.filters[-1] = Filter(field=field, op="is", value=[*earlier, value])
        else:
            request.filters.append(Filter(field=field, op=op, value=value))
        return size

    def _comparison(self, at: int, request: Request) -> int:
        """``older``: noted, since what it is older than may still be named."""
        columns, direction = lexicon.COMPARATIVES.get(self.words[at], ((), 0))
        size, with_what = 1, list[str]()
        if columns and self.words[at + 1 : at + 2] == ["than"]:
            size = 3 if self.words[at + 2 : at + 3] == ["the"] and self._item(at + 2) is None else 2
            if (named := self._item(at + size)) is None:
                return 0
            size, with_what = size + named[0], [named[1]]
        if not columns:
            return 0
        field = next((name for name in columns if self.schema.kinds.get(name) == "number"), None)
        if field is None:
            request.notes.append(f"The catalogue does not say what is {self.words[at]}.")
        else:
            self.compares = self.compares or not {*with_what} - {*self.dialogue.shown}
            self._compared.append((field, -direction if self._negative else direction, with_what))
        return size

    def _compare(self, request: Request) -> None:
        """Bounds for what was compared: with the items named, or else with most of what was shown."""
        for field, direction, with_what in self._compared:
            values = [self._row(item_id).get(field) for item_id in with_what or request.anchors or self.dialogue.shown]
            known = [value for value in values if isinstance(value, int | float)]
            if known:
                op: Literal["at-least", "at-most"] = "at-least" if direction > 0 else "at-most"
                request.filters.append(Filter(field=field, op=op, value=float(median_low(known) + direction)))

    def _role(self, at: int, request: Request) -> int:
        """``not that actor's films``: those of whoever the item spoken of last has first in that column."""
        before = self.words[at - 1] if at else ""
        role = next((r for r in lexicon.ROLES if self.words[at] in (r, r + "s")), None)
        if role is None or before not in ("that", "this", "the", "same", "his", "her"):
            return 0
        field = next((name for name in lexicon.ROLES[role] if name in self.schema.values), None)
        focus = self._focus()
        if field is None:
            request.notes.append(f"The catalogue does not say who or what the {role} is.")
            return 1
        held = None if focus is None else self._row(focus).get(field)
        first = held[0] if isinstance(held, list) and held else held
        if isinstance(first, str):
            self.compares = True
            op = "is-not" if self._negative else "is"
            request.filters.append(Filter(field=field, op=op, value=first))
        return 1

    # --- times ---

    def _time(self, at: int, request: Request) -> int:
        found = self._span(at)
        if found is None:
            return 0
        size, low, high = found
        before = [word for word in self.words[max(0, at - 3) : at] if word not in ("the", "early", "mid", "late")]
        bound = before[-1] if before else ""
        field = self.schema.year
        if field is None:
            request.notes.append(_NO_YEARS)
            return size
        link = self.words[at + size : at + size + 1]
        then = self._span(at + size + 1) if link in (["to"], ["and"], ["until"]) else None
        if then is not None and (bound == "between" or link != ["and"]):
            self._years(request, field, {*range(min(low, then[1]), max(high, then[2]) + 1)})
            return size + 1 + then[0]
        side = {*self.words[at + size + 1 : at + size + 2]} if link in (["or"], ["and"]) else set()
        later = link in (["on"], ["onwards"], ["onward"])
        if later or side & lexicon.LATER:
            self._bounds(request, field, low, None)
        elif side & lexicon.EARLIER:
            self._bounds(request, field, None, high)
        elif (bound in _AFTER and bound != "from") or self._than(before, "newer", "later"):
            self._bounds(request, field, high + 1 if bound in ("after", "post", "than") else low, None)
        elif bound in _BEFORE or self._than(before, "older", "earlier"):
            self._bounds(request, field, None, high if bound in ("until", "till", "to") else low - 1)
        else:
            years = {*range(low, high + 1)}
            while (other := self._another(at + size)) is not None:
                size, years = size + other[0], years | {*range(other[1], other[2] + 1)}
            self._years(request, field, years)
            return size
        return size + (1 if later else 2 if side & (lexicon.LATER | lexicon.EARLIER) else 0)

    def _another(self, at: int) -> tuple[int, int, int] | None:
        """``or the 90s``: how many words from here say one more time, and its first and last year."""
        if self.words[at : at + 1] not in (["or"], ["and"], [","]):
            return None
        start = at + 1
        while self.words[start : start + 1] in (["or"], ["and"], ["from"], ["the"]):
            start += 1
        found = None if self._item(start) is not None else self._span(start)
        return None if found is None else (start - at + found[0], found[1], found[2])

    def _span(self, at: int) -> tuple[int, int, int] | None:
        """How many words from here are a year or a decade, and its first and last year."""
        if at >= len(self.words):
            return None
        word, part = self.words[at], (0, 9)
        if word in _PARTS:
            part, at = _PARTS[word], at + 1
            word = self.words[at] if at < len(self.words) else ""
        size = 1 if part == (0, 9) else 2
        if re.fullmatch(r"(1[89]|20)\d\d", word):
            if part != (0, 9) and not word.endswith("0"):
                return None
            return (size, int(word), int(word)) if size == 1 else None
        start = lexicon.DECADES.get(word)
        if decade := re.fullmatch(r"(1[89]|20)?(\d)0s", word):
            century = decade[1] or ("20" if decade[2] in "012" else "19")
            start = int(century + decade[2] + "0")
        return None if start is None else (size, start + part[0], start + part[1])

    def _than(self, before: Sequence[str], *comparatives: str) -> bool:
        return before[-1:] == ["than"] and bool({*before[-2:-1]} & {*comparatives})

    def _years(self, request: Request, field: str, years: set[int]) -> None:
        """One of these years; none of them where that is denied."""
        if self._negative and self._denies:
            request.filters.append(Filter(field=field, op="is-not", value=[str(year) for year in sorted(years)]))
        elif len(years) <= max(years) - min(years):  # with a gap
            request.filters.append(Filter(field=field, op="is", value=[str(year) for year in sorted(years)]))
        else:
            for op, value in (("at-least", min(years)), ("at-most", max(years))):
                request.filters.append(Filter(field=field, op=op, value=float(value)))

    def _bounds(self, request: Request, field: str, low: int | None, high: int | None) -> None:
        """At least and at most these; beyond them where that is denied: ``nothing before 1980``."""
        if self._negative and self._denies:
            low, high = None if high is None else high + 1, None if low is None else low - 1
        for op, value in (("at-least", low), ("at-most", high)):
            if value is not None:
                request.filters.append(Filter(field=field, op=op, value=float(value)))

    # --- items ---

    def _items(self, at: int, request: Request) -> int:
        """Titles and references to the list, and what was said of them."""
        found = self._item(at)
        if found is None:
            return 0
        size, item_id = found
        said = [
            word for word in self._left[-4:] if word not in lexicon.ARTICLES | lexicon.KIND_NOUNS | {"of", "really"}
        ]
        seen = {*said[-2:]} & lexicon.SEEN
        if self._left[-1:] in (["and"], ["or"], [","]) and (last := self._latest(request)):
            last.append(item_id)
        elif seen and {*said[:-1]} & lexicon.UNSEEN:
            pass  # that it was not seen says nothing of it
        elif self._negative or {*said[-1:]} & lexicon.DISLIKED or said[-2:] == ["less", "like"]:
            request.dislikes.append(item_id)
        elif {*said[-1:]} & lexicon.LIKED or said[-2:] == ["i", "like"]:
            request.likes.append(item_id)
        elif seen:
            request.seen.append(item_id)
        else:
            request.anchors.append(item_id)
            self.compares = self.compares or item_id in self.dialogue.shown
        self._last = item_id
        self._negative = self._negative and self.words[at + size : at + size + 1] != [","]
        return size

    def _item(self, at: int) -> tuple[int, str] | None:
        """The item that is pointed to or named here, with how many words do so."""
        if at >= len(self.words):
            return None
        if (found := self._reference(at)) is not None:
            return found
        size, ids = self._title(at)
        return (size, self._best(ids)) if ids and self._is_title(at, size) else None

    def _title(self, at: int) -> tuple[int, list[str]]:
        """The longest title that begins here, of the catalogue asked for before those of others."""
        return max((one.title(self.words, at) for one in self._vocabularies), key=lambda found: found[0])

    def _latest(self, request: Request) -> list[str] | None:
        """The list that got the item before this one: ``I loved Heat and Fargo``."""
        lists = (request.likes, request.dislikes, request.seen, request.anchors)
        return next((one for one in lists if one and one[-1] == self._last), None)

    def _is_title(self, at: int, size: int) -> bool:
        """Whether words that are a title are meant as one."""
        named = tuple(word for word in self.words[at : at + size] if word.isalnum())
        if named in self._quotes:
            return True
        value_size = self._vocabulary.value(self.words, at)[0]
        if value_size >= size or (size == 1 and (named[0] in lexicon.STOP or self._span(at))):
            return False
        before = at - 1
        while before >= 0 and self.words[before] in lexicon.ARTICLES | lexicon.KIND_NOUNS | {"called"}:
            before -= 1
        joined = before >= 0 and self.words[before] in ("and", "or", ",") and self._last is not None
        return joined or size > 3 or (before >= 0 and self.words[before] in lexicon.BEFORE_TITLES)

    def _reference(self, at: int) -> tuple[int, str] | None:
        """``the second one``, ``number 3``, ``this one``, ``it``: an item of the list, with how many words say so."""
        shown, words = self.dialogue.shown, self.words
        if not shown:
            return None
        if (
            words[at] in ("number", "nr", "no")
            and (place := lexicon.NUMBERS.get("".join(words[at + 1 : at + 2]))) is not None
        ):
            return (2, shown[place]) if place < len(shown) else None
        if words[at] in lexicon.ORDINALS and ({*words[at + 1 : at + 2]} & lexicon.KIND_NOUNS or len(words) == at + 1):
            place = lexicon.ORDINALS[words[at]]
            return (min(2, len(words) - at), shown[place]) if place < len(shown) else None
        if words[at] in ("this", "that") and {*words[at + 1 : at + 2]} & lexicon.KIND_NOUNS:
            return 2, self._focus() or shown[0]
        if words[at] in ("it", "this", "that") and self._points(at):
            return 1, self._focus() or shown[0]
        return None

    def _points(self, at: int) -> bool:
        """Whether a bare ``it`` stands for an item: ``like it``, ``why this?``, ``tell me more about it``."""
        before = self.words[at - 1] if at else ""
        ends = at + 1 == len(self.words) or not self.words[at + 1].isalnum()
        return before in (
            "like",
            "about",
            "why",
            "is",
            "was",
            "directed",
            "rate",
            "liked",
            "loved",
            "hated",
            "seen",
        ) and (ends or self.words[at + 1] in ("but", "and", "please", "from", "in"))

    def _focus(self) -> str | None:
        """The item that was spoken of last: the only one of the latest answer, or the first shown."""
        return self._alone() or (self.dialogue.shown[0] if self.dialogue.shown else None)

    def _alone(self) -> str | None:
        """The only item of the latest answer that had any."""
        latest = next((turn.items for turn in reversed(self.dialogue.turns) if turn.items), [])
        return latest[0] if len(latest) == 1 else None

    def _best(self, ids: Sequence[str]) -> str:
        """Of items with one title, one that was shown, or else the first."""
        return next((item_id for item_id in ids if item_id in self.dialogue.shown), ids[0])
