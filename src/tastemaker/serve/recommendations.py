"""Who is asked for, by outside ids -> recommendations, scores and reasons from a `Recommender`."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tastemaker.errors import LanguageModelError, PromptError, UsageError
from tastemaker.recommend import Recommender
from tastemaker.serve.problems import Problem, invalid
from tastemaker.types import Item, Query


@dataclass(frozen=True, slots=True)
class Subject:
    """A user, or somebody with a history, and what they said of items since."""

    user: str | None = None
    history: Sequence[str] = ()
    verdicts: Mapping[str, str] = field(default_factory=dict)
    """``like``, ``dislike`` or ``none`` by item, oldest first."""


class Recommendations:
    """A `Recommender` for many threads. Messages about what was asked name its field and repeat nothing of it.

    A ranker whose language model is a server's is asked by ``at_once`` threads; whoever comes meanwhile is answered by
    the retriever alone, so that a server that stalls does not bind all threads there are.
    """

    def __init__(self, recommender: Recommender, *, at_once: int = 1) -> None:
        self.name = recommender.data.name
        self._recommender = recommender
        self._alone = Recommender(recommender.retriever, None, recommender.data)
        self._places = threading.BoundedSemaphore(at_once)
        self._ids: list[str] = recommender.data.items["item_id"].to_list()
        self._numbers = {item_id: Item(number) for number, item_id in enumerate(self._ids)}

    def recommend(
        self, subject: Subject, n: int, *, candidates: Sequence[str] | None = None, filter_seen: bool = True
    ) -> dict[str, Any]:
        """``recommendations``, best first, with ``degraded`` and ``repairs``; nothing disliked is among them."""
        query = self._query(subject)
        pool = () if candidates is None else tuple(self._items("candidates", candidates))
        disliked = {self._numbers[i] for i, said in subject.verdicts.items() if said == "dislike" and self.knows(i)}
        asked = Query(query.history, tuple(dict.fromkeys(i for i in pool if i not in disliked)), query.user)
        if candidates is not None and not asked.candidates:
            return {"recommendations": [], "degraded": False, "repairs": 0}
        with self._free() as recommender:
            (answer,) = recommender.answer([asked], n + len(disliked), filter_seen=filter_seen)
        pairs = [pair for pair in zip(answer.items, answer.scores, strict=True) if pair[0] not in disliked][:n]
        titles = self._recommender.data.titles
        rows = [
            {"item_id": self._ids[item], "title": titles[item], "rank": rank, "score": _finite(score)}
            for rank, (item, score) in enumerate(pairs, start=1)
        ]
        degraded = answer.degraded or recommender is self._alone
        return {"recommendations": rows, "degraded": degraded, "repairs": answer.repairs}

    def score(self, subject: Subject, items: Sequence[str]) -> dict[str, Any]:
        """``scores`` in the order of the items, and ``degraded``."""
        query = self._query(subject)
        asked = Query(query.history, tuple(dict.fromkeys(self._items("items", items))), query.user)
        with self._free() as recommender:
            degraded = recommender is self._alone
            try:
                (scores,) = recommender.score_queries([asked])
            except (LanguageModelError, PromptError):
                degraded = True
                (scores,) = self._alone.score_queries([asked])
        found = dict(zip(asked.candidates, map(float, scores), strict=True))
        rows = [{"item_id": item, "score": _finite(found[self._numbers[item]])} for item in items]
        return {"scores": rows, "degraded": degraded}

    def explain(self, subject: Subject, item: str) -> dict[str, Any]:
        """The `Explanation`, as plain values."""
        query = self._query(subject)
        self._items("item", [item])
        known = subject.user if query.user is not None and not self._liked(subject) else None
        history = None if known else [self._ids[number] for number in query.history]
        with self._free() as recommender:
            found = recommender.explain(item, user=known, history=history)
        degraded = found.degraded or recommender is self._alone
        return {**found.as_dict(), "score": _finite(found.score), "degraded": degraded}

    def chosen(self, subject: Subject) -> list[str]:
        """Ids of what they chose and of what they liked since. Raises `Problem` as `recommend` does."""
        return [self._ids[item] for item in self._query(subject).history]

    def knows(self, item: str) -> bool:
        """Whether the catalogue that was learned from has it; items added since are not in it."""
        return item in self._numbers

    def knows_user(self, user: str) -> bool:
        """Whether it was learned from what they chose."""
        try:
            self._recommender.data.user_numbers([user])
        except UsageError:
            return False
        return True

    @contextmanager
    def _free(self) -> Iterator[Recommender]:
        """Whom to ask: the retriever alone while nobody else may wait for the ranker's server."""
        ranker = self._recommender.ranker
        if ranker is None or not ranker.concurrent:
            yield self._recommender
            return
        free = self._places.acquire(blocking=False)
        try:
            yield self._recommender if free else self._alone
        finally:
            if free:
                self._places.release()

    def _query(self, subject: Subject) -> Query:
        """What they chose, and what they liked since. Raises `Problem` for somebody of whom nothing is known."""
        liked = self._liked(subject)
        if subject.user is None:
            return Query((*self._items("history", subject.history), *liked))
        if self.knows_user(subject.user):
            known = self._recommender.query(user=subject.user)
            return Query((*known.history, *(i for i in liked if i not in known.history)), (), known.user)
        if not subject.verdicts:
            raise nobody()
        return Query(tuple(liked))

    def _liked(self, subject: Subject) -> list[Item]:
        return [self._numbers[i] for i, said in subject.verdicts.items() if said == "like" and self.knows(i)]

    def _items(self, name: str, ids: Sequence[str]) -> list[Item]:
        for place, item in enumerate(ids):
            if item not in self._numbers:
                raise invalid(f"{name}{f'.{place}' if len(ids) > 1 else ''}: no item of the catalogue has that id")
        return [self._numbers[item] for item in ids]


def nobody() -> Problem:
    """For a user of whom neither the recommender nor feedback tells anything."""
    return invalid("user: nobody of that id is known; give a history, or send what they like as feedback")


def _finite(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None
