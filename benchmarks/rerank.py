"""A retriever's best items -> the same in another order, by LightGBM on scores, attributes and popularity: no LLM.

What a language model that re-ranks has to beat. With what the language model says among its features it shows what
that adds to all the others. Needs `pip install lightgbm` (the extra `rerank`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tastemaker.collab.base import CollaborativeModel
from tastemaker.data import Split
from tastemaker.methods._palr_fusion import proposed
from tastemaker.methods._palr_profile import Keywords
from tastemaker.methods._scores import standard
from tastemaker.types import FloatArray, IntArray, Query

CHUNK = 256
Heard = Callable[[Sequence[Query]], FloatArray]
"""Queries -> ``[query, read, item]``: what somebody else says of the catalogue."""
SETTINGS = {
    "objective": "lambdarank",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "lambdarank_truncation_level": 20,
    "verbosity": -1,
    "num_threads": 1,
    "deterministic": True,
}


def on_top(retrieved: FloatArray, pool: IntArray, scores: FloatArray) -> FloatArray:
    """``[item]``: the pool first, in the order of its own scores, everything else below as it was retrieved."""
    found: FloatArray = -1.0 - np.argsort(np.argsort(-retrieved, kind="stable"), kind="stable").astype(np.float32)
    order = pool[np.argsort(-scores, kind="stable")]
    found[order] = len(order) - np.arange(len(order), dtype=np.float32)
    return found


class Reranker:
    """LambdaMART over the ``n`` items the retriever proposes, learned on validation, where PALR's fusion is chosen."""

    def __init__(
        self, retriever: CollaborativeModel, n: int = 50, *, heard: Heard | None = None, seed: int = 0
    ) -> None:
        self.retriever, self.n, self.heard, self.seed = retriever, n, heard, seed

    def fit(self, split: Split) -> Reranker:
        """The same, trained on four fifths of the validation cases and stopped by the others."""
        import lightgbm

        self.keywords = Keywords(split.dataset)
        items = split.dataset.items
        years = items["year"].fill_null(0).to_numpy() if "year" in items.columns else np.zeros(items.height)
        self.years = np.where(years > 0, years, np.nan)
        self.popularity = np.log1p(self.retriever.item_counts).astype(np.float32)
        rows, labels = [], []
        for start in range(0, len(split.valid), CHUNK):
            cases = split.valid[start : start + CHUNK]
            pools, tables = self._tables([case.query for case in cases])
            for case, pool, table in zip(cases, pools, tables, strict=True):
                if case.positive in pool:
                    rows.append(table)
                    labels.append((pool == case.positive).astype(np.int32))
        order = np.random.default_rng(self.seed).permutation(len(rows))
        cut = max(1, len(rows) // 5)
        held, learned = (self._data(lightgbm, rows, labels, part) for part in (order[:cut], order[cut:]))
        self.booster = lightgbm.train(
            {**SETTINGS, "seed": self.seed, "metric": "ndcg", "eval_at": [10]},
            learned,
            num_boost_round=500,
            valid_sets=[held],
            callbacks=[lightgbm.early_stopping(30, verbose=False)],
        )
        return self

    def score(self, queries: Sequence[Query]) -> list[FloatArray]:
        """One array over the catalogue per query: the proposed in the new order, the others below in the old."""
        found = []
        for start in range(0, len(queries), CHUNK):
            some = queries[start : start + CHUNK]
            scores = self.retriever.score(some)
            pools, tables = self._tables(some, scores)
            for row, pool, table in zip(scores, pools, tables, strict=True):
                found.append(on_top(row, pool, self.booster.predict(table)))
        return found

    def _tables(
        self, queries: Sequence[Query], scores: FloatArray | None = None
    ) -> tuple[list[IntArray], list[FloatArray]]:
        """What is proposed to each query, and ``[item, feature]`` of it."""
        scores = self.retriever.score(queries) if scores is None else scores
        level, matches = standard(scores), self.keywords.matches([query.history for query in queries])
        latest = self.keywords.matches([query.history[-3:] for query in queries])
        said = [standard(read) for read in np.moveaxis(self.heard(queries), 1, 0)] if self.heard else []
        pools, tables = [], []
        for i, query in enumerate(queries):
            pool = proposed(scores[i], query.history, self.n)
            ranks, length = np.log1p(np.arange(len(pool))), np.full(len(pool), np.log1p(len(query.history)))
            year = self.years[list(query.history)][-20:]
            apart = self.years[pool] - (np.nanmean(year) if np.isfinite(year).any() else np.nan)
            own = (level[i, pool], ranks, self.popularity[pool], matches[i, pool], latest[i, pool], apart, length)
            columns = (*own, *(read[i, pool] for read in said))
            pools.append(pool)
            tables.append(np.stack(columns, axis=1).astype(np.float32))
        return pools, tables

    @staticmethod
    def _data(lightgbm: object, rows: list[FloatArray], labels: list[IntArray], part: IntArray) -> object:
        table, label = np.concatenate([rows[i] for i in part]), np.concatenate([labels[i] for i in part])
        return lightgbm.Dataset(table, label, group=[len(rows[i]) for i in part])  # type: ignore[attr-defined]
