"""Queries with candidates -> scores of each by a language model that reads the list: four ways, one interface."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tastemaker.llm.base import LanguageModel
from tastemaker.methods._palr_prompts import Wording
from tastemaker.prompts.clean import clean
from tastemaker.prompts.parse import parse
from tastemaker.prompts.prompt import Prompt
from tastemaker.types import FloatArray, Item, Progress, Query

Decode = Literal["score", "letters", "trie", "free"]
LETTERS = string.ascii_uppercase + string.ascii_lowercase
"""What candidates can be labelled with."""
TITLE_TOKENS = 16
"""What a freely written list may take for each of its titles."""
_AT_ONCE = 32  # queries whose prompts are held together


@dataclass(frozen=True, slots=True)
class Rates:
    """What freely written lists were made of. All but ``lists`` count places in lists."""

    lists: int = 0
    wanted: int = 0
    """Places there were to fill."""
    matched: int = 0
    """Filled by a line that named one candidate."""
    duplicate: int = 0
    """Lines that named one that was there already."""
    out_of_list: int = 0
    """Lines that named nothing that was shown."""

    @property
    def backfilled(self) -> int:
        """Places the retriever's order had to fill."""
        return self.wanted - self.matched

    def __add__(self, other: Rates) -> Rates:
        """Both together."""
        names = self.__slots__
        return Rates(*(getattr(self, name) + getattr(other, name) for name in names))

    def as_dict(self) -> dict[str, float]:
        """Match and backfill as shares of the places, duplicate and out of list as shares of the lines read."""
        lines = max(1, self.matched + self.duplicate + self.out_of_list)
        places = max(1, self.wanted)
        return {
            "match": self.matched / places,
            "backfill": self.backfilled / places,
            "duplicate": self.duplicate / lines,
            "out_of_list": self.out_of_list / lines,
        }


class Lister:
    """Ranks candidates by showing them to a language model.

    ``retrieved`` gives the retriever's scores of the candidates: what is not named stands in its order, below all
    that is. Lists too long for one prompt are read in overlapping windows from their end, the better half of each
    moving on into the next.
    """

    rates: Rates

    def __init__(
        self,
        lm: LanguageModel,
        wording: Wording,
        decode: Decode,
        *,
        n: int,
        window: int,
        permutations: int,
        history: int,
        labels: str = LETTERS,
    ) -> None:
        """``n``: length of a written list; ``window``: most candidates in a prompt; ``labels``: one token each."""
        self.lm, self.wording, self.n, self.permutations, self.history = lm, wording, n, permutations, history
        self.decode, self.labels, self.rates = decode, labels, Rates()
        self.most = min(window, len(labels)) if decode == "letters" else window
        ways: dict[str, Callable[[list[Query], list[tuple[str, ...]], list[FloatArray]], list[FloatArray]]] = {
            "score": self._scored,
            "letters": self._lettered,
            "trie": self._chosen,
            "free": self._written,
        }
        self._way = ways[decode]

    def score(
        self,
        queries: Sequence[Query],
        profiles: Sequence[tuple[str, ...]],
        retrieved: Sequence[FloatArray],
        progress: Progress,
    ) -> list[FloatArray]:
        """One array per query, aligned with its candidates. ``rates`` afterwards has those of these lists."""
        found: list[FloatArray] = []
        self.rates = Rates()
        for start in range(0, len(queries), _AT_ONCE):
            part = slice(start, min(start + _AT_ONCE, len(queries)))
            found += self._windowed(list(queries[part]), list(profiles[part]), list(retrieved[part]))
            progress("ranking", part.stop, len(queries))
        return found

    def prompt(self, query: Query, profile: tuple[str, ...]) -> Prompt:
        """What the model reads of a query."""
        labels = self.labels[: len(query.candidates)] if self.decode == "letters" else ""
        return self.wording.ask(
            query.history[-self.history :], query.candidates, self._length(query), profile=profile, labels=labels
        )

    def _windowed(
        self, queries: list[Query], profiles: list[tuple[str, ...]], retrieved: list[FloatArray]
    ) -> list[FloatArray]:
        sizes = [
            self.wording.window(q.candidates, self.most, p) if len(q.candidates) else 2
            for q, p in zip(queries, profiles, strict=True)
        ]
        whole = [i for i, q in enumerate(queries) if 0 < len(q.candidates) <= sizes[i]]
        found = [np.zeros(len(q.candidates), np.float32) for q in queries]
        picked = self._way([queries[i] for i in whole], [profiles[i] for i in whole], [retrieved[i] for i in whole])
        for i, scores in zip(whole, picked, strict=True):
            found[i] = scores
        for i, query in enumerate(queries):
            if len(query.candidates) > sizes[i]:
                found[i] = self._merged(query, profiles[i], retrieved[i], sizes[i])
        return found

    def _merged(self, query: Query, profile: tuple[str, ...], retrieved: FloatArray, size: int) -> FloatArray:
        order = np.argsort(-retrieved, kind="stable")
        start = len(order) - size
        while True:
            shown = order[start : start + size]
            asked = replace(query, candidates=tuple(query.candidates[i] for i in shown))
            (scores,) = self._way([asked], [profile], [retrieved[shown]])
            order[start : start + size] = shown[np.argsort(-scores, kind="stable")]
            if start == 0:
                break
            start = max(0, start - max(1, size // 2))
        places = np.empty(len(order), np.float32)
        places[order] = np.arange(0, -len(order), -1)
        return places

    def _scored(
        self, queries: list[Query], profiles: list[tuple[str, ...]], retrieved: list[FloatArray]
    ) -> list[FloatArray]:
        prompts = [self.prompt(q, p) for q, p in zip(queries, profiles, strict=True)]
        return self.lm.score(prompts, [[self.wording.answer([item]) for item in q.candidates] for q in queries])

    def _lettered(
        self, queries: list[Query], profiles: list[tuple[str, ...]], retrieved: list[FloatArray]
    ) -> list[FloatArray]:
        """The mean over ``permutations`` rotations of the list, since models favour places in it."""
        total = [np.zeros(len(q.candidates), np.float32) for q in queries]
        turns = [min(self.permutations, len(q.candidates)) for q in queries]
        for turn in range(max(turns, default=0)):
            some = [i for i in range(len(queries)) if turn < turns[i]]
            shifts = [turn * len(queries[i].candidates) // turns[i] for i in some]
            turned = [
                replace(queries[i], candidates=(*queries[i].candidates[s:], *queries[i].candidates[:s]))
                for i, s in zip(some, shifts, strict=True)
            ]
            prompts = [self.prompt(q, profiles[i]) for i, q in zip(some, turned, strict=True)]
            labels = [[Prompt.of(label) for label in self.labels[: len(q.candidates)]] for q in turned]
            for i, shift, scores in zip(some, shifts, self.lm.score(prompts, labels), strict=True):
                total[i] += np.roll(scores, shift) / np.float32(turns[i])
        return total

    def _chosen(
        self, queries: list[Query], profiles: list[tuple[str, ...]], retrieved: list[FloatArray]
    ) -> list[FloatArray]:
        prompts = [self.prompt(q, p) for q, p in zip(queries, profiles, strict=True)]
        choices = [[Prompt.of(self.wording.name(item)) for item in q.candidates] for q in queries]
        lists = self.lm.generate_lists(prompts, choices, n=self.n)
        return [_placed(q, one, r) for q, one, r in zip(queries, lists, retrieved, strict=True)]

    def _written(
        self, queries: list[Query], profiles: list[tuple[str, ...]], retrieved: list[FloatArray]
    ) -> list[FloatArray]:
        prompts = [self.prompt(q, p) for q, p in zip(queries, profiles, strict=True)]
        texts = self.lm.generate(prompts, max_new_tokens=TITLE_TOKENS * self.n, stop="\n\n") if prompts else []
        found = []
        for query, text, own in zip(queries, texts, retrieved, strict=True):
            named, rates = matched(text, query.candidates, self.wording.names, self._length(query))
            self.rates += rates
            found.append(_placed(query, named, own))
        return found

    def _length(self, query: Query) -> int:
        return 1 if self.decode == "letters" else min(self.n, len(query.candidates) or self.n)


def matched(text: str, candidates: Sequence[Item], names: Sequence[str], n: int) -> tuple[list[int], Rates]:
    """The places of the candidates a text names, line by line or title by title, and what became of its lines.

    A name equal to the letter counts (it holds the id where titles do not tell apart), else one that is equal but
    for case, spaces and punctuation; nothing is guessed.
    """
    shown, found = [names[item] for item in candidates], list[int]()
    duplicate = out = 0
    for line in _titles(text)[: 3 * n]:
        if len(found) == n:
            break
        place = parse(line, shown).index
        if place is None:
            out += 1
        elif place in found:
            duplicate += 1
        else:
            found.append(place)
    return found, Rates(1, min(n, len(shown)), len(found), duplicate, out)


def _titles(text: str) -> list[str]:
    """A list as models write it: one title a line, numbered or not, or quoted side by side."""
    found = []
    for line in text[:20_000].splitlines():
        quoted = re.findall(r"\"([^\"]{1,240})\"", line)
        bare = re.sub(r"^\s*(?:[-*\u2022]|\(?\d{1,3}[.):])\s+", "", line)
        found += quoted or [bare]
    return [title for title in found if clean(title)]


def _placed(query: Query, named: Sequence[int], retrieved: FloatArray) -> FloatArray:
    """Scores above zero for those named, the first highest; the others at zero and below, in retriever order."""
    size = len(query.candidates)
    scores = np.empty(size, np.float32)
    # Rounded, so that what is level but for noise stays in the order shown.
    order = np.argsort(-np.round(retrieved.astype(np.float64), 4), kind="stable")
    scores[order] = np.arange(0, -size, -1)
    scores[list(named)] = size - np.arange(len(named), dtype=np.float32)
    return scores
