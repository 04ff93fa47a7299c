"""A catalogue and a history -> a Profile: what somebody likes, in words, each word with the items that show it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from scipy import sparse

from tastemaker.data.dataset import Dataset
from tastemaker.errors import ArtifactError
from tastemaker.prompts.clean import clean
from tastemaker.prompts.parse import parse
from tastemaker.prompts.prompt import Item as ItemText
from tastemaker.prompts.prompt import Part, Prompt, fit
from tastemaker.types import FloatArray, Item

WORD_LIMIT = 48
"""Characters of a keyword; longer attributes are descriptions, not keywords."""
SHOWN = 20
"""How many of the latest items a language model is told of when it writes a profile."""
_PLAIN = ("genre", "genres", "category", "categories", "tag", "tags")  # columns whose values speak for themselves
_SMOOTH = 2.0  # pseudo-items at the base rate: one Western does not make a lover of Westerns
_SEGMENT = re.compile(r"\s*([^:;\n\"]{1,64}?)\s*:\s*((?:\"[^\"\n]{0,240}\"[\s,]*)+)")
_SCHEMA: dict[str, Any] = {"key": pl.String, "word": pl.String, "evidence": pl.List(pl.Int32)}
ANSWER = 128
"""Most tokens of a profile that a language model writes."""
_STOP = frozenset({"and", "for", "from", "into", "pack", "set", "the", "with", "your"})


@dataclass(frozen=True, slots=True)
class Keyword:
    """One thing somebody likes."""

    word: str
    evidence: tuple[str, ...]
    """Outside ids of the history items that show it, latest first; never empty."""
    lift: float | None = None
    """How much more often the history has it than the catalogue; None where the language model named it."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What somebody likes, the strongest first. Nothing in it that the history does not show."""

    keywords: tuple[Keyword, ...]
    source: Literal["counted", "written"] = "counted"
    """Whether attributes were counted, or a language model wrote it and what it wrote was verified."""

    @property
    def words(self) -> tuple[str, ...]:
        """The keywords alone."""
        return tuple(one.word for one in self.keywords)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


class Keywords:
    """Every attribute of a catalogue as a keyword, and which items have it.

    Any column counts: lists and texts by their values, years by their decade. Without attributes the words of the
    titles stand in; keywords of a single item say nothing about taste and are left out.
    """

    words: list[str]
    table: Any
    """Sparse ``[item, keyword]``, 1 where the item has it."""

    def __init__(self, catalogue: Dataset) -> None:
        self.catalogue = catalogue
        pairs = list(_attributes(catalogue.items)) or list(_title_words(catalogue))
        number: dict[str, int] = {}
        for _, word in pairs:
            number.setdefault(word, len(number))
        where = ([i for i, _ in pairs], [number[word] for _, word in pairs])
        whole = sparse.coo_array((np.ones(len(pairs), np.float32), where), shape=(catalogue.n_items, len(number)))
        whole = whole.tocsr()
        whole.data[:] = 1.0
        kept = np.flatnonzero(np.asarray(whole.sum(axis=0)).ravel() >= 2) if len(number) else np.zeros(0, int)
        named = list(number)
        self.words = [named[i] for i in kept]
        self.table = whole[:, kept] if len(number) else whole
        self.base = np.asarray(self.table.sum(axis=0), np.float32).ravel() / max(1, catalogue.n_items)

    def of_item(self, item: int) -> list[str]:
        """The item's keywords."""
        return [self.words[k] for k in self.table.indices[self.table.indptr[item] : self.table.indptr[item + 1]]]

    def strengths(self, history: Sequence[int]) -> FloatArray:
        """``[keyword]``: how strongly the history prefers each, 0 where it does not: count times log lift."""
        seen = self._known(history)
        if not seen or not self.words:
            return np.zeros(len(self.words), np.float32)
        counts = np.asarray(self.table[seen].sum(axis=0), np.float32).ravel()
        lift = self._lift(counts, len(seen))
        enough = counts >= min(2, len(seen))
        found: FloatArray = np.where(enough & (lift > 1), counts * np.log(np.maximum(lift, 1)), 0).astype(np.float32)
        return found

    def matches(self, histories: Sequence[Sequence[int]]) -> FloatArray:
        """``[history, item]``: how much of each history's taste each item has, at most 1."""
        if not self.words:
            return np.zeros((len(histories), self.catalogue.n_items), np.float32)
        strengths = np.stack([self.strengths(history) for history in histories])
        strengths /= np.maximum(strengths.sum(axis=1, keepdims=True), 1e-6)
        found: FloatArray = (self.table @ strengths.T).T.astype(np.float32)
        return found

    def best(self, history: Sequence[int], n: int = 5) -> list[int]:
        """The numbers of the history's ``n`` strongest keywords, strongest first."""
        strengths = self.strengths(history)
        return [k for k in np.argsort(-strengths, kind="stable")[:n].tolist() if strengths[k] > 0]

    def profile(self, history: Sequence[int], n: int = 5) -> Profile:
        """The ``n`` strongest keywords of the history, each with the items that have it."""
        seen, best = self._known(history), self.best(history, n)
        if not best:
            return Profile(())
        counts = np.asarray(self.table[seen].sum(axis=0), np.float32).ravel()
        lifts = self._lift(counts, len(seen))
        own = {item: set(self.of_item(item)) for item in seen}
        ids = self.catalogue.items["item_id"]
        return Profile(
            tuple(
                Keyword(
                    self.words[k],
                    tuple(ids[item] for item in reversed(seen) if self.words[k] in own[item]),
                    round(float(lifts[k]), 2),
                )
                for k in best
            )
        )

    def _known(self, history: Sequence[int]) -> list[int]:
        return list(dict.fromkeys(int(item) for item in history if 0 <= item < self.catalogue.n_items))

    def _lift(self, counts: FloatArray, n: int) -> FloatArray:
        smoothed = (counts + _SMOOTH * self.base) / (n + _SMOOTH)
        return np.asarray(smoothed / np.maximum(self.base, 1e-9), np.float32)


def counted_profile(catalogue: Dataset, history: Sequence[int], n: int = 5) -> Profile:
    """`Keywords.profile` of one history, for callers that ask once."""
    return Keywords(catalogue).profile(history, n)


def profile_prompt(
    keywords: Keywords,
    names: Sequence[str],
    history: Sequence[int],
    noun: str,
    room: tuple[Callable[[Prompt], int], int],
) -> Prompt:
    """What a language model is asked (figure 2 of the paper): keywords by importance, each with titles that show it.

    ``room``: how its length is counted, and the most it may be; old history goes first.
    """
    upper = noun.upper()
    shown = list(dict.fromkeys(history))[-SHOWN:]
    lines = [_line(item, names[item], keywords.of_item(item)) for item in shown]
    head = (
        "Your task is to use two keywords to summarize user's preference based on history interactions. "
        "The output is an itemized list based on importance. The output template is: "
        f'{{KEYWORD_1: "HISTORY_{upper}_1", "HISTORY_{upper}_2"; KEYWORD_2: "HISTORY_{upper}_2"}}\n'
        f"The history {noun}s and their keywords:\n"
    )
    measure, budget = room
    return fit(Prompt.of(head), lines, Prompt.of("\nOutput: {"), measure=measure, budget=budget, separator="\n")


def verified(text: str, keywords: Keywords, names: Sequence[str], history: Sequence[int], n: int = 5) -> Profile:
    """What holds of a profile a language model wrote; for any text whatever, never an exception.

    A cited title must be in the history, and its item must have the keyword, as an attribute or in its title.
    """
    shown = [item for item in dict.fromkeys(history) if 0 <= item < len(names)]
    titles, ids = [names[item] for item in shown], keywords.catalogue.items["item_id"]
    found: dict[str, list[str]] = {}
    for raw, cited in _SEGMENT.findall(text.partition("}")[0].lstrip("{")[:4000])[: 4 * n]:
        word = clean(raw, WORD_LIMIT).strip(" -*.'")
        for title in re.findall(r"\"([^\"\n]*)\"", cited):
            place = parse(title, titles).index
            if word and place is not None and _shows(word, shown[place], keywords, names):
                evidence = found.setdefault(word, [])
                evidence += [ids[shown[place]]] if ids[shown[place]] not in evidence else []
    return Profile(tuple(Keyword(word, tuple(items)) for word, items in list(found.items())[:n]), "written")


def unpacked(frame: pl.DataFrame, ids: Sequence[str], where: object) -> dict[str, Profile]:
    """Undo `packed`. Raises `ArtifactError` if anything in it is not what it should be."""
    try:
        found: dict[str, list[Keyword]] = {}
        for key, word, evidence in frame.select(*_SCHEMA).cast(pl.Schema(_SCHEMA)).iter_rows():
            several = found.setdefault(key, [])
            if word is not None:
                if any(item < 0 for item in evidence):
                    raise IndexError("an item is below zero")
                several.append(Keyword(clean(word, WORD_LIMIT), tuple(ids[item] for item in evidence)))
    except (pl.exceptions.PolarsError, IndexError, TypeError) as error:
        raise ArtifactError(f"{where}: its profiles are not what they should be ({_first(error)})") from error
    return {key: Profile(tuple(several), "written") for key, several in found.items()}


def packed(profiles: Mapping[str, Profile], numbers: Mapping[str, int]) -> pl.DataFrame:
    """Profiles by the key of their history as a table; a profile without keywords is one row without a word."""
    rows: list[tuple[str, str | None, list[int]]] = [
        (key, one.word, [numbers[item] for item in one.evidence])
        for key, profile in profiles.items()
        for one in profile.keywords
    ]
    rows += [(key, None, []) for key, profile in profiles.items() if not profile.keywords]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _line(item: int, name: str, words: Sequence[str]) -> Prompt:
    tail: list[Part] = ['": ', ItemText(Item(item), ", ".join(words[:4]))] if words else ['"']
    return Prompt.of('"', ItemText(Item(item), name), *tail)


def _shows(word: str, item: int, keywords: Keywords, names: Sequence[str]) -> bool:
    key = word.casefold()
    own = [one.casefold() for one in keywords.of_item(item)]
    return key in own or re.search(rf"\b{re.escape(key)}\b", names[item].casefold()) is not None


def _attributes(items: pl.DataFrame) -> Iterator[tuple[int, str]]:
    for column in items.columns:
        kind = items.schema[column]
        if column in ("item_id", "title"):
            continue
        for item, value in enumerate(items[column].to_list()):
            if column == "year" and isinstance(value, int) and value > 0:
                yield item, f"the {value // 10 * 10}s"
            elif isinstance(kind, pl.List) or isinstance(value, str):
                values = value if isinstance(value, list) else [value]
                for word in _worded(column, values):
                    yield item, word


def _worded(column: str, values: Sequence[Any]) -> Iterator[str]:
    for value in values:
        text = clean(value, WORD_LIMIT + 1).replace('"', "'") if isinstance(value, str) else ""
        if 1 < len(text) <= WORD_LIMIT:
            yield text if column.lower() in _PLAIN else f"{column.replace('_', ' ')} {text}"


def _title_words(catalogue: Dataset) -> Iterator[tuple[int, str]]:
    for item, title in enumerate(catalogue.items["title"]):
        for word in dict.fromkeys(re.findall(r"[^\W\d_]{3,}", clean(title or "").casefold())):
            if word not in _STOP:
                yield item, word


def _first(error: BaseException) -> str:
    return str(error).partition("\n")[0]
