"""A retriever, a ranker and a catalogue -> the Recommender: what a user trains, saves, loads and serves."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import polars as pl

from tastemaker.collab.base import CollaborativeModel
from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Split
from tastemaker.errors import LanguageModelError, PromptError, UsageError
from tastemaker.methods.base import Method
from tastemaker.recommend import saved
from tastemaker.recommend.asked import Asked, Unknown, UnknownIdWarning, left_out
from tastemaker.recommend.explain import Explanation, explanation
from tastemaker.recommend.lists import Answer, batches, best, checked, ranking
from tastemaker.types import BoolArray, FloatArray, IntArray, Item, Progress, Query, Ranking, User, quiet

_BATCH = 256  # queries scored over the whole catalogue at once
_RIVALS = 19  # shown beside an item that is to be explained
SCHEMA = {"user_id": pl.String, "item_id": pl.String, "rank": pl.Int32, "score": pl.Float64, "title": pl.String}


@dataclass(frozen=True, slots=True)
class _Retrieved:
    """What the retriever has to say to one query."""

    query: Query
    """With ``pool`` as its candidates."""
    scores: FloatArray
    """``[item]``."""
    allowed: BoolArray
    """``[item]``: what may be recommended."""
    pool: IntArray
    """The best of that, best first."""


class Recommender:
    """The retriever proposes, the ranker re-scores what was proposed, and every list is checked before it leaves.

    ``Recommender(sasrec, llara).recommend(users=["42"], n=10)``. Items and users go by their outside ids. Should the
    language model fail, or lack room for what it would have to read, the retriever answers alone and ``degraded`` says
    so. Threads may share it: with a language model in this process, whose weights and slots are not the same while it
    answers, it answers one call at a time; several where the model is a server's.
    """

    repairs: int
    """Places in lists, since this object was made, that the ranker left empty or gave to what cannot be recommended."""
    degraded: bool
    """Whether the ranker failed in the last call, so that the retriever answered alone."""
    skipped: tuple[str, ...]
    """Ids that the last `recommend` left out because nobody knows them."""

    def __init__(
        self,
        retriever: CollaborativeModel,
        ranker: Method | None = None,
        data: Split | Dataset | None = None,
        *,
        n_candidates: int = 100,
    ) -> None:
        """``data`` has the catalogue and what known users have seen; what the ranker was tuned on if not given."""
        if data is None:
            if ranker is None:
                raise UsageError("a retriever alone knows no titles and no users; give the dataset it was fitted on")
            data = ranker.catalogue
        if n_candidates < 1:
            raise UsageError(f"n_candidates is {n_candidates}; the ranker needs at least one")
        self.retriever, self.ranker, self.n_candidates = retriever, ranker, n_candidates
        self.data = data.dataset if isinstance(data, Split) else data
        self.repairs, self.degraded, self.skipped = 0, False, ()
        self._lock = threading.Lock()
        self._require_one_catalogue()

    def recommend(
        self,
        users: Sequence[str] | None = None,
        histories: Sequence[Sequence[str]] | Mapping[str, Sequence[str]] | None = None,
        n: int = 10,
        *,
        candidates: Sequence[str] | None = None,
        filter_seen: bool = True,
        unknown: Unknown = "error",
        progress: Progress = quiet,
    ) -> pl.DataFrame:
        """``user_id, item_id, rank, score, title``: ``n`` rows for each user, best first.

        ``users`` are known ones; new ones come as ``histories``, item ids oldest first, and are numbered unless
        given by name. ``candidates`` limits what may be recommended, to nothing where it is empty; ``filter_seen``
        leaves out the history. ``score`` is null where the ranker gave none.
        Raises `UsageError` for an id that is not known; with ``unknown="skip"`` it is left out instead, stands in
        ``skipped`` and is warned of, and a user left out has no rows.
        """
        asked = Asked.of(users, histories, candidates).settled(self.data, unknown)
        self.skipped = asked.skipped
        if asked.skipped:
            warnings.warn(left_out(asked.skipped), UnknownIdWarning, stacklevel=2)
        names, queries = self._queries(asked)
        pool = () if asked.candidates is None else tuple(self.item_numbers(asked.candidates))
        if asked.candidates is not None and not pool:
            names, queries = [], []  # nothing may be recommended; a query without candidates would mean everything
        queries = [Query(history=q.history, candidates=pool, user=q.user) for q in queries]
        answers = self.answer(queries, n, filter_seen=filter_seen, progress=progress)
        rows = [
            (name, item, rank, score)
            for name, answer in zip(names, answers, strict=True)
            for rank, (item, score) in enumerate(zip(answer.items, answer.scores, strict=True), start=1)
        ]
        frame = pl.DataFrame(rows, schema=["user_id", "item", "rank", "score"], orient="row")
        numbers, titles = frame["item"].to_list(), self.data.titles
        ids = self.data.items["item_id"]
        return frame.with_columns(
            pl.Series("item_id", [ids[i] for i in numbers], dtype=pl.String),
            pl.Series("title", [titles[i] for i in numbers], dtype=pl.String),
        ).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())

    def answer(
        self, queries: Sequence[Query], n: int = 10, *, filter_seen: bool = True, progress: Progress = quiet
    ) -> list[Answer]:
        """`recommend` by inside numbers: a checked list for each query, out of its candidates where it has any."""
        if n < 1:
            raise UsageError(f"n is {n}; ask for at least one recommendation")
        answers: list[Answer] = []
        with self._turn():
            for part in batches(_BATCH, len(queries)):
                answers += self._answer(queries[part], n, filter_seen)
                progress("recommend", part.stop, len(queries))
        with self._lock:
            self.repairs += sum(answer.repairs for answer in answers)
            self.degraded = any(answer.degraded for answer in answers)
        return answers

    def score(self, pairs: Iterable[tuple[str, str]]) -> pl.DataFrame:
        """``user_id, item_id, score`` in the order of the pairs.

        The items of one user are candidates side by side, so that their scores compare; those of different users
        need not. Raises `UsageError` for an id that is not known.
        """
        asked = list(pairs)
        wanted: dict[str, dict[str, int]] = {}
        for user, item in asked:
            wanted.setdefault(user, {}).setdefault(item, len(wanted[user]))
        queries = [
            Query(q.history, tuple(self.item_numbers(list(wanted[user]))), q.user)
            for user, q in zip(wanted, self._queries(Asked.of(list(wanted), None))[1], strict=True)
        ]
        with self._turn():
            found, self.degraded = self._scores(queries)
        scores = dict(zip(wanted, found, strict=True))
        values = [float(scores[user][wanted[user][item]]) for user, item in asked]
        frame = pl.DataFrame({"user_id": [u for u, _ in asked], "item_id": [i for _, i in asked]})
        return frame.with_columns(pl.Series("score", values, dtype=pl.Float64).fill_nan(None))

    def explain(
        self, item: str, *, user: str | None = None, history: Sequence[str] | None = None, progress: Progress = quiet
    ) -> Explanation:
        """Which items of the history speak for the item, what they share with it, and one sentence that says so.

        Each of the latest history items is left out in turn, and what that does to the item's score is its effect.
        """
        if (user is None) == (history is None):
            raise UsageError("explain needs either user or history")
        query = self.query(user=user, history=history)
        (target,) = self.item_numbers([item])
        scores = self.retriever.score([query])[0]
        allowed = self._allowed(query, filter_seen=True)
        allowed[target] = False
        (rivals,) = best(scores[None], allowed[None], _RIVALS)
        query = Query(query.history, (target, *map(Item, rivals.tolist())), query.user)
        by_id = query.user is not None and self.retriever.n_users is not None
        with self._turn():
            found = explanation(self.data, query, lambda queries: self._scores(queries, progress), by_id=by_id)
            self.degraded = found.degraded
        return found

    def score_queries(self, queries: Sequence[Query]) -> list[FloatArray]:
        """What evaluations judge: one array per query, aligned with its candidates or else with the catalogue.

        Over the catalogue the ranker orders what the retriever proposed and the rest stays below, as it was. Nothing
        is repaired and a language model that fails raises: a measurement must not flatter.
        """
        with self._turn():
            if self.ranker is None:
                return self._by_retriever(queries)
            if queries and queries[0].candidates:
                return self._by_ranker(queries)
            parts = [self._over_catalogue(queries[part]) for part in batches(_BATCH, len(queries))]
        return [row for part in parts for row in part]

    def save_pretrained(self, path: str | os.PathLike[str], *, histories: bool = True) -> None:
        """Write all that recommending needs but the language model; without ``histories``, nothing about any user.

        ``config.json``, ``model.safetensors`` (the retriever), ``items.parquet``, ``histories.parquet``, ``ranker/``
        and a ``README.md``, whole or not at all. Raises `ArtifactError`.
        """
        saved.save(path, self.retriever, self.ranker, self.data, self.n_candidates, histories=histories)

    @classmethod
    def from_pretrained(cls, path: str | os.PathLike[str]) -> Self:
        """The recommender that `save_pretrained` wrote, from its directory or the run's. Raises `ArtifactError`."""
        retriever, ranker, data, n_candidates = saved.load(path)
        return cls(retriever, ranker, data, n_candidates=n_candidates)

    def item_numbers(self, ids: Sequence[str]) -> list[Item]:
        """The numbers of these items, repeats dropped. Raises `UsageError` for one that is not in the catalogue."""
        return [Item(i) for i in dict.fromkeys(self.data.item_numbers(list(ids)).tolist())]

    def query(self, *, user: str | None = None, history: Sequence[str] | None = None) -> Query:
        """The question this known user, or somebody with this history, asks."""
        asked = Asked.of(None if user is None else [user], None if history is None else [history])
        return self._queries(asked)[1][0]

    def _queries(self, asked: Asked) -> tuple[list[str], list[Query]]:
        if asked.users is not None:
            numbers = self._user_numbers(asked.users)
            known = [Query(tuple(map(Item, self.data.history(u).tolist())), (), User(u)) for u in numbers]
            return list(asked.users), known
        items = (self.data.item_numbers(list(ids)).tolist() for ids in asked.histories.values())
        return list(asked.histories), [Query(tuple(map(Item, numbers))) for numbers in items]

    def _user_numbers(self, ids: Sequence[str]) -> list[int]:
        try:
            return [int(number) for number in self.data.user_numbers(list(ids))]
        except UsageError as error:
            raise UsageError(f"{error}; ask for someone new with a history of item ids") from None

    def _turn(self) -> AbstractContextManager[object]:
        """One thread at a time, unless the ranker takes several: whoever waits for a server holds up nobody else."""
        return nullcontext() if self.ranker is not None and self.ranker.concurrent else self._lock

    def _answer(self, queries: Sequence[Query], n: int, filter_seen: bool) -> list[Answer]:
        found = self._retrieved(queries, max(n, self.n_candidates), filter_seen)
        try:
            proposed = self._proposed(found)
        except (LanguageModelError, PromptError):
            proposed = None
        if proposed is not None:
            return [checked(r, one.pool, n, one.allowed) for r, one in zip(proposed, found, strict=True)]
        own = [ranking(one.pool[:n], one.scores[one.pool[:n]]) for one in found]
        return [Answer(r.items, r.scores, degraded=self.ranker is not None) for r in own]

    def _retrieved(self, queries: Sequence[Query], n: int, filter_seen: bool) -> list[_Retrieved]:
        """What the retriever proposes for each query, out of its candidates where it has any."""
        allowed = np.stack([self._allowed(query, filter_seen=filter_seen) for query in queries])
        scores = self.retriever.score(queries)
        pools = best(scores, allowed, n)
        found = []
        for query, its_scores, its_allowed, pool in zip(queries, scores, allowed, pools, strict=True):
            shown = replace(query, candidates=tuple(map(Item, pool.tolist())))
            found.append(_Retrieved(shown, its_scores, its_allowed, pool))
        return found

    def _proposed(self, found: Sequence[_Retrieved]) -> list[Ranking] | None:
        """The ranker's order of what was retrieved; None without a ranker. Raises `LanguageModelError`."""
        ranker = self.ranker
        if ranker is None:
            return None
        asked = [one.query for one in found if one.query.candidates]
        if type(ranker).rank is not Method.rank:  # it writes lists rather than scores
            rankings = iter([ranker.rank(query) for query in asked])
        else:
            scores: Any = ranker.score(asked) if asked else []
            scores = scores if len(scores) == len(asked) else [None] * len(asked)
            rankings = iter([ranking(query.candidates, s) for query, s in zip(asked, scores, strict=True)])
        return [next(rankings) if one.query.candidates else Ranking((), ()) for one in found]

    def _scores(self, queries: Sequence[Query], progress: Progress = quiet) -> tuple[list[FloatArray], bool]:
        """One array per query, aligned with its candidates, and whether the retriever had to stand in."""
        if self.ranker is None:
            return self._by_retriever(queries), False
        try:
            return self._by_ranker(queries, progress), False
        except (LanguageModelError, PromptError):
            return self._by_retriever(queries), True

    def _by_ranker(self, queries: Sequence[Query], progress: Progress = quiet) -> list[FloatArray]:
        if self.ranker is None:
            return []
        scores = self.ranker.score(queries, progress=progress)
        if [np.shape(row) for row in scores] != [(len(query.candidates),) for query in queries]:
            raise LanguageModelError("the ranker did not give every candidate one score")
        return scores

    def _by_retriever(self, queries: Sequence[Query]) -> list[FloatArray]:
        if queries and queries[0].candidates:
            return self.retriever.score_candidates(queries)
        return list(self.retriever.score(queries))

    def _over_catalogue(self, queries: Sequence[Query]) -> list[FloatArray]:
        found = self._retrieved(queries, self.n_candidates, filter_seen=True)
        placed = []
        for one, scores in zip(found, self._by_ranker([one.query for one in found]), strict=True):
            below = -1.0 - np.argsort(np.argsort(-one.scores, kind="stable"), kind="stable").astype(np.float32)
            order = one.pool[np.argsort(-scores, kind="stable")]
            below[order] = len(order) - np.arange(len(order), dtype=np.float32)
            placed.append(below)
        return placed

    def _allowed(self, query: Query, *, filter_seen: bool) -> BoolArray:
        allowed: BoolArray = np.full(self.data.n_items, not query.candidates)
        allowed[list(query.candidates)] = True
        if filter_seen:
            allowed[list(query.history)] = False
        return allowed

    def _require_one_catalogue(self) -> None:
        n_items = self.data.n_items
        if len(self.retriever.known_items) != n_items:
            known = len(self.retriever.known_items)
            raise UsageError(
                f"the retriever knows {known:,} items, {self.data.name} has {n_items:,}; fit it on this data"
            )
        numbered = self.retriever.n_users
        if numbered is not None and self.data.n_users and numbered != self.data.n_users:
            raise UsageError(
                f"the retriever knows {numbered:,} users by number, {self.data.name} has {self.data.n_users:,}; "
                "give the split it was fitted on"
            )
        if self.ranker is None or self.ranker.catalogue is self.data:
            return
        if not self.ranker.catalogue.items["item_id"].equals(self.data.items["item_id"]):
            raise UsageError(
                f"the ranker was tuned on other items than those of {self.data.name}; tune it on this data"
            )
