"""A query, a target and a scorer -> an Explanation: what the history did to the score, measured and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tastemaker.data.dataset import Dataset
from tastemaker.prompts.clean import clean
from tastemaker.types import FloatArray, Item, Query

LATEST = 20
"""How many of the latest history items are left out in turn; older ones count as without effect."""
NAMED = 3
"""How many items of the history the sentence names at most."""
_MATTERS = 0.1  # of the strongest effect: weaker evidence is not put into words

Scorer = Callable[[Sequence[Query]], tuple[list[FloatArray], bool]]
"""Scores of each query's candidates, all by the same hand, and whether that was only the retriever's."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One item of the history."""

    item_id: str
    title: str
    effect: float
    """How much lower the explained item would score, against its rivals, had this one not been chosen."""
    shared: tuple[str, ...]
    """Genres, and the decade, that both have."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an item scores as it does for somebody; nothing in it that was not measured or looked up."""

    item_id: str
    title: str
    score: float | None
    place: int
    """Among its rivals, the best of what else could be recommended; 1 is the best."""
    rivals: int
    evidence: tuple[Evidence, ...]
    """Strongest first."""
    sentence: str
    degraded: bool = False
    """Whether the language model failed, so that the retriever is what is explained."""

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


def explanation(data: Dataset, query: Query, scorer: Scorer, *, by_id: bool = False) -> Explanation:
    """The explanation of the query's first candidate against the others.

    ``by_id``: the scorer knows users by number, whom nothing left out of a history changes; effects are then those on
    somebody with the same history.
    """
    target = query.candidates[0]
    whole = replace(query, user=None) if by_id else query
    left_out = list(dict.fromkeys(reversed(query.history)))[:LATEST]
    asked = [whole, *(_without(whole, item) for item in left_out)]
    scores, degraded = scorer(asked if whole == query else [query, *asked])
    measured = scores[-len(asked) :]
    rows = (row if one.history else _spread(row, measured[0]) for row, one in zip(measured, asked, strict=True))
    edges = [_edge(row) for row in rows]
    effects = [edges[0] - edge for edge in edges[1:]]
    order = np.argsort([-effect for effect in effects], kind="stable").tolist()
    evidence = tuple(_evidence(data, left_out[i], target, effects[i]) for i in order)
    own = float(scores[0][0])
    return Explanation(
        item_id=data.items["item_id"][target],
        title=data.titles[target],
        score=own if np.isfinite(own) else None,
        place=1 + int((scores[0][1:] > scores[0][0]).sum()),
        rivals=len(query.candidates) - 1,
        evidence=evidence,
        sentence=sentence(data.titles[target], evidence),
        degraded=degraded,
    )


def attributes(data: Dataset, item: int) -> tuple[str, ...]:
    """The item's genres and, where the year is known, its decade."""
    row = data.items.row(item, named=True)
    genres = row.get("genres")
    named = [clean(str(genre)) for genre in genres if genre] if isinstance(genres, list) else []
    year = row.get("year")
    return (*named, f"the {year // 10 * 10}s") if isinstance(year, int) and year > 0 else tuple(named)


def sentence(title: str, evidence: Sequence[Evidence]) -> str:
    """What the evidence says, in one plain sentence."""
    name = _quoted(title)
    if not evidence:
        return f"There is no history that could speak for {name}."
    strongest = max(one.effect for one in evidence)
    named = [one for one in evidence if one.effect > 0 and one.effect >= _MATTERS * strongest][:NAMED]
    if not named:
        counts = Counter(attribute for one in evidence for attribute in one.shared)
        told = f"No single item of the history raised the score of {name}"
        (attribute, count), *_ = counts.most_common(1) or [("", 0)]
        return f"{told}; it shares {attribute} with {count} of the latest {len(evidence)}." if count else f"{told}."
    verb = "speaks" if len(named) == 1 else "speak"
    told = f"{_listed([_quoted(one.title) for one in named])} in the history {verb} most for {name}"
    common = [a for a in named[0].shared if all(a in one.shared for one in named)]
    if common:
        return f"{told}; they share {_listed(common)}."
    first = next((one for one in named if one.shared), None)
    return f"{told}; {_quoted(first.title)} shares {_listed(first.shared)} with it." if first else f"{told}."


def _evidence(data: Dataset, item: Item, target: Item, effect: float) -> Evidence:
    theirs = attributes(data, target)
    shared = tuple(attribute for attribute in attributes(data, item) if attribute in theirs)
    return Evidence(data.items["item_id"][item], data.titles[item], effect, shared)


def _without(query: Query, item: Item) -> Query:
    return Query(tuple(i for i in query.history if i != item), query.candidates, query.user)


def _edge(scores: FloatArray) -> float:
    """How far the first candidate is above the mean of all: what is left when all scores move together."""
    finite = scores[np.isfinite(scores)]
    return float(scores[0] - finite.mean()) if np.isfinite(scores[0]) else 0.0


def _spread(scores: FloatArray, like: FloatArray) -> FloatArray:
    """Scores for somebody without a history, mere counts perhaps, as far apart as the others are."""
    own, theirs = (float(row[np.isfinite(row)].std()) if np.isfinite(row).any() else 0.0 for row in (scores, like))
    return scores * np.float32(theirs / own) if own > 0 else scores


def _quoted(title: str) -> str:
    return f'"{clean(title)}"'


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
