"""Cases -> frozen, seeded, hashed candidate lists: what every method is judged on, in the order shown."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from tastemaker.artifacts import write_atomic
from tastemaker.data.split import Case
from tastemaker.errors import ArtifactError, UsageError
from tastemaker.types import FloatArray, IntArray, Item, Query

Exclude = Literal["history", "window"]


@dataclass(frozen=True, eq=False)
class CandidateSet:
    """The positive among ``n - 1`` negatives for every case, drawn several times."""

    items: IntArray
    """``[draw, case, n]`` in the order shown."""
    positives: IntArray
    """``[case]``: the item the user really chose."""
    seed: int
    rule: str
    """How the negatives were drawn, in words that `draw` fixes."""

    @classmethod
    def draw(
        cls,
        cases: Sequence[Case],
        n_items: int,
        *,
        n: int = 20,
        draws: int = 1,
        seed: int = 0,
        exclude: Exclude = "history",
        window: int = 10,
    ) -> CandidateSet:
        """Lists of ``n``: the positive, at a uniform place, and uniform negatives without repeats.

        ``exclude="history"`` never shows an item of the case's history; ``"window"`` only spares the last ``window``
        of them, as LLaRA did, so that some negatives are items the user has chosen before. The first draws of a
        larger set equal those of a smaller one with the same seed.
        """
        if n < 2 or draws < 1 or not cases:
            raise UsageError(
                f"candidate lists need n >= 2, draws >= 1 and cases, got {n=}, {draws=}, {len(cases)} cases"
            )
        excluded = [_excluded(c, exclude, window) for c in cases]
        allowed = n_items - np.array([len(e) for e in excluded])
        if allowed.min() < n - 1:
            few = int(allowed.argmin())
            message = f"case {few} leaves {allowed[few]} items to draw {n - 1} negatives from; ask for a smaller n"
            raise UsageError(message)
        positives = np.array([c.positive for c in cases], dtype=np.int32)
        rng = np.random.default_rng(seed)
        items = np.empty((draws, len(cases), n), dtype=np.int32)
        for shown in items:
            chance = rng.random((len(cases), 2 * n - 1))
            ranks = _distinct(chance[:, : n - 1], allowed)
            for row, (rank, out) in enumerate(zip(ranks, excluded, strict=True)):
                shown[row, 1:] = rank + np.searchsorted(out - np.arange(len(out)), rank, side="right")
            shown[:, 0] = positives
            shown[:] = np.take_along_axis(shown, chance[:, n - 1 :].argsort(axis=1), axis=1)
        spared = "history" if exclude == "history" else f"last {window} of history"
        return cls(items, positives, seed, f"uniform {n - 1} of {n_items} items, without the {spared} or the positive")

    @property
    def draws(self) -> int:
        """How many lists each case has."""
        return int(self.items.shape[0])

    @property
    def n(self) -> int:
        """How many candidates a list shows."""
        return int(self.items.shape[2])

    @cached_property
    def slots(self) -> IntArray:
        """``[draw, case]``: the place at which the positive is shown."""
        found: IntArray = (self.items == self.positives[None, :, None]).argmax(axis=2).astype(np.int32)
        return found

    def first(self, draws: int) -> CandidateSet:
        """The first ``draws`` lists of every case."""
        if not 1 <= draws <= self.draws:
            raise UsageError(f"this candidate set has {self.draws} draws, so the first {draws} cannot be taken")
        return replace(self, items=self.items[:draws])

    def queries(self, cases: Sequence[Case], draw: int = 0, part: slice = slice(None)) -> list[Query]:
        """Each case's query with its candidates of that draw, or those of the ``part`` of the cases."""
        some = cases[part]
        if len(cases) != len(self.positives) or not np.array_equal(self.positives[part], [c.positive for c in some]):
            raise UsageError("this candidate set was drawn for other cases; draw it again for these")
        return [
            replace(c.query, candidates=tuple(Item(i) for i in shown))
            for c, shown in zip(some, self.items[draw, part].tolist(), strict=True)
        ]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one Parquet file: a row for each list, with everything `load` needs. Raises `ArtifactError`."""
        draws, cases, n = self.items.shape
        table = pl.DataFrame(
            {
                "draw": np.repeat(np.arange(draws, dtype=np.int32), cases),
                "case": np.tile(np.arange(cases, dtype=np.int32), draws),
                "positive": np.tile(self.positives, draws),
                "items": pl.Series(self.items.reshape(-1, n), dtype=pl.Array(pl.Int32, n)),
            }
        )
        about = {"seed": str(self.seed), "rule": self.rule, "hash": self.hash}
        buffer = io.BytesIO()
        table.write_parquet(buffer, metadata=about)
        write_atomic(path, buffer.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CandidateSet:
        """The candidate set that `save` wrote, checked against its hash. Raises `ArtifactError`."""
        try:
            about = pl.read_parquet_metadata(Path(path))
            table = pl.read_parquet(Path(path), columns=["draw", "case", "positive", "items"])
            cases = int(table["case"].n_unique())
            lists = table["items"].to_numpy().astype(np.int32)
            items = lists.reshape(-1, cases, lists.shape[1])
            found = cls(items, table["positive"].to_numpy()[:cases], int(about["seed"]), about["rule"])
            intact = found.hash == about["hash"]
        except (pl.exceptions.PolarsError, OSError, KeyError, ValueError, IndexError, ZeroDivisionError) as e:
            raise ArtifactError(f"{path}: not a candidate set that can be read ({str(e).splitlines()[0]})") from None
        if not intact:
            raise ArtifactError(f"{path}: damaged, its lists do not match their hash; draw them again")
        return found

    @cached_property
    def hash(self) -> str:
        """SHA-256 of every list in its order, the positives, the seed and the rule."""
        digest = hashlib.sha256(json.dumps([self.rule, self.seed, self.items.shape]).encode())
        for array in (self.items, self.positives):
            digest.update(np.ascontiguousarray(array, dtype="<i4").tobytes())
        return digest.hexdigest()


def _excluded(case: Case, exclude: Exclude, window: int) -> IntArray:
    if exclude not in ("history", "window"):
        raise UsageError(f"exclude={exclude!r} is not known; use 'history' or 'window'")
    history = case.query.history if exclude == "history" else case.query.history[-window:]
    return np.unique(np.array([*history, case.positive], dtype=np.int32))


def _distinct(chance: np.ndarray[tuple[int, int], np.dtype[np.float64]], allowed: IntArray) -> IntArray:
    """``[case, k]`` different ranks below ``allowed[case]`` (Floyd's sampling: every subset is equally likely)."""
    k = chance.shape[1]
    ranks = np.full(chance.shape, -1, dtype=np.int64)
    for step in range(k):
        last = allowed - k + step
        rank = (chance[:, step] * (last + 1)).astype(np.int64)
        taken = (ranks[:, :step] == rank[:, None]).any(axis=1)
        ranks[:, step] = np.where(taken, last, rank)
    return ranks.astype(np.int32)


def expected_hit(scores: FloatArray, case: Case, n: int) -> float:
    """`expected_hits` of one case."""
    return float(expected_hits(scores[None], [case], n)[0])


def expected_hits(scores: FloatArray, cases: Sequence[Case], n: int) -> FloatArray:
    """``[case]``: the chance that the positive beats ``n`` - 1 negatives drawn uniformly outside the history.

    Exact over all draws; whoever has the positive's score is half beaten.
    """
    rows, positives = np.arange(len(cases)), np.array([case.positive for case in cases], dtype=np.int64)
    pool = np.ones(scores.shape, dtype=np.bool_)
    sizes = [len(case.query.history) for case in cases]
    seen = np.fromiter(chain.from_iterable(case.query.history for case in cases), dtype=np.int64, count=sum(sizes))
    pool[np.repeat(rows, sizes), seen] = False
    pool[rows, positives] = False
    own = scores[rows, positives][:, None]
    tied = np.count_nonzero(pool & (scores == own), axis=1)
    beaten = np.count_nonzero(pool & (scores < own), axis=1) + 0.5 * tied
    size, steps = np.count_nonzero(pool, axis=1)[:, None], np.arange(n - 1)
    chances = np.clip(beaten[:, None] - steps, 0, None) / np.maximum(size - steps, 1)
    hits: FloatArray = np.where(steps < size, chances, 1.0).prod(axis=1).astype(np.float32)
    return hits
