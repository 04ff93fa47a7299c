"""A recommender and its searchable catalogue -> everything a conversation needs to know of one kind of things."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from tastemaker.prompts.clean import plain_title
from tastemaker.recommend import Recommender
from tastemaker.serve.chat import filters as constraints
from tastemaker.serve.chat import lexicon
from tastemaker.serve.chat.catalogue import Catalogue
from tastemaker.serve.chat.dialogue import Card, Filter
from tastemaker.serve.chat.newcomers import Newcomers
from tastemaker.serve.chat.reasons import Reasons
from tastemaker.serve.chat.vocabulary import Vocabulary
from tastemaker.types import BoolArray, FloatArray, Item, Query

NEIGHBOURS = 10
"""Items by whose scores a new item is judged."""
_BELOW = 1e-3


@dataclass(frozen=True, slots=True)
class Prior:
    """What the recommender thinks of the items that are allowed."""

    scores: FloatArray
    """``[item]``: 0 to 1, new items included; minus infinity for what is not allowed."""
    degraded: bool


class Shelf:
    """Things of one kind: ``Shelf(recommender, catalogue, nouns=("film", "films"))``."""

    def __init__(self, recommender: Recommender, catalogue: Catalogue, *, nouns: Sequence[str] = ()) -> None:
        self.recommender, self.catalogue = recommender, catalogue
        self.name, self.nouns = recommender.data.name, tuple(nouns)
        self.own = recommender.data.n_items
        self.newcomers = Newcomers(catalogue, self.own)
        self._adding, self._near = threading.Lock(), dict[int, tuple[list[int], FloatArray]]()
        self._rows: list[dict[str, Any]] = []
        self._names: dict[str, str] = {}
        self.vocabulary = Vocabulary(catalogue.items.clear(), catalogue.schema)
        self.reasons = Reasons([], catalogue.schema)
        self.refresh()

    def refresh(self) -> None:
        """Take note of what the catalogue has gained; what was there is not read again, however much it is."""
        fresh, schema = self.catalogue.items[len(self._rows) :], self.catalogue.schema
        self._rows = [*self._rows, *fresh.to_dicts()]
        self.vocabulary = self.vocabulary.extended(fresh, schema)
        titles = zip(fresh["item_id"], fresh["title"], strict=True)
        names = {item_id: " ".join(lexicon.key(plain_title(title or ""))) for item_id, title in titles}
        self._names = {**self._names, **names}
        whole = len(fresh) == len(self._rows)
        self.reasons = Reasons(self._rows, schema) if whole else self.reasons.extended(self._rows, schema)
        new = [row for row in range(self.own, len(self._rows)) if row not in self._near]
        for row, vector in zip(new, self.catalogue.vectors([self._rows[i]["item_id"] for i in new]), strict=True):
            near = self.catalogue.nearest(vector, NEIGHBOURS, own=True)
            weights = np.array([max(weight, 0.0) for _, weight in near], dtype=np.float32)
            self._near[row] = [self.catalogue.row(i) for i, _ in near], weights

    def now(self) -> Shelf:
        """The same as it is at this moment; what is added later is not in it."""
        with self._adding:
            found = copy(self)
            found.catalogue = copy(self.catalogue)
        found.newcomers = Newcomers(found.catalogue, self.own)
        return found

    def add(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """The ids of new items. Raises `UsageError`."""
        with self._adding:
            ids = self.catalogue.add(rows)
            self.refresh()
        return ids

    def row(self, item_id: str) -> dict[str, Any]:
        """An item with its attributes. Raises `UsageError`."""
        return self._rows[self.catalogue.row(item_id)]

    def rows(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Those of the ids that are of this shelf."""
        return {item_id: self.row(item_id) for item_id in ids if item_id in self.catalogue}

    def card(self, item_id: str) -> Card:
        """The item as it is shown."""
        row = self.row(item_id)
        told = {name: row[name] for name in self.catalogue.schema.kinds if row.get(name) not in (None, [], "")}
        return Card(item_id=item_id, title=row["title"] or item_id, attributes=told)

    def find(self, text: str, n: int) -> list[str]:
        """Ids by what is typed so far: titles that begin so, titles that hold it, then what search finds."""
        wanted = " ".join(lexicon.key(text))
        if not wanted:
            return []
        begin = [i for i, name in self._names.items() if name.startswith(wanted)][:n]
        inside = [i for i, name in self._names.items() if f" {wanted}" in name][:n]
        found = [*begin, *inside]
        if len(found) < n:
            found += [item_id for item_id, _ in self.catalogue.search(text, n)]
        return list(dict.fromkeys(found))[:n]

    def allowed(self, filters: Sequence[Filter], without: Iterable[str]) -> BoolArray:
        """``[item]``: what keeps to the constraints and is not barred."""
        found = constraints.mask(self.catalogue.items, filters, self.catalogue.schema).copy()
        found[[self.catalogue.row(item_id) for item_id in without if item_id in self.catalogue]] = False
        return found

    def numbers(self, ids: Iterable[str]) -> tuple[Item, ...]:
        """The recommender's own numbers of those items that it has."""
        rows = (self.catalogue.row(item_id) for item_id in ids if item_id in self.catalogue)
        return tuple(Item(row) for row in rows if row < self.own)

    def prior(self, query: Query, allowed: BoolArray, n: int) -> Prior:
        """The recommender's opinion: its own list first, in its order; new items as their neighbours in meaning."""
        scores = np.full(len(allowed), -np.inf, dtype=np.float32)
        level = self.levels(query)
        known = np.flatnonzero(allowed[: self.own])
        degraded = False
        if len(known):
            asked = Query(query.history, tuple(map(Item, known.tolist())), query.user, text=query.text)
            (answer,) = self.recommender.answer([asked], min(n, len(known)), filter_seen=False)
            degraded = answer.degraded
            # The ranker's order over the levels of the best: its first place gets the highest of them.
            best = np.sort(level[known])[::-1][: len(answer.items)]
            scores[known] = np.minimum(level[known], best[-1]) - _BELOW
            scores[list(answer.items)] = best
        new = self.own + np.flatnonzero(allowed[self.own :])
        if len(new):
            scores[new] = self._by_neighbours(new, level)
        return Prior(scores, degraded)

    def levels(self, query: Query) -> FloatArray:
        """``[own item]``: the share of items that the retriever puts below each."""
        raw = self.recommender.retriever.score([query])[0]
        places = np.argsort(np.argsort(raw, kind="stable"), kind="stable")
        levels: FloatArray = (places / max(1, len(raw) - 1)).astype(np.float32)
        return levels

    def _by_neighbours(self, new: Any, level: FloatArray) -> FloatArray:
        found = np.zeros(len(new), dtype=np.float32)
        for place, row in enumerate(new.tolist()):
            near, weights = self._near[row]
            found[place] = float(level[near] @ weights) / total if (total := float(weights.sum())) else 0.0
        return found
