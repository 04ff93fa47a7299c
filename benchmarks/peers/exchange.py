"""A Split -> the plain files a peer reads; the plain files it writes -> NDCG@10 by our own metric."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.peers.environment import PeerError
from tastemaker.data import Case, Split
from tastemaker.errors import UsageError
from tastemaker.evaluate.metrics import rank_metric
from tastemaker.evaluate.ranking import place, ranks_of
from tastemaker.types import FloatArray, IntArray

N = 10
BATCH = 512


def write_split(folder: Path, split: Split) -> None:
    """``train.csv`` and ``queries.csv`` (what the test users have seen): user, item, place in the user's sequence.

    What the test users chose is in neither.
    """
    place_of = pl.int_range(pl.len()).over("user").alias("place")
    split.train.select("user", "item", place_of).write_csv(folder / "train.csv")
    seen = [(_user(c), int(i), k) for c in split.test for k, i in enumerate(c.query.history)]
    pl.DataFrame(seen, schema=["user", "item", "place"], orient="row").write_csv(folder / "queries.csv")


def read_top(path: Path, split: Split) -> IntArray:
    """``[case, 10]`` from rows of user and item, best first. Raises `PeerError` unless it is ten unseen items each."""
    lists: dict[int, list[int]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            lists.setdefault(int(row["user"]), []).append(int(row["item"]))
    for case in split.test:
        found = lists.get(_user(case), [])
        good = {item for item in found if 0 <= item < split.dataset.n_items}.difference(map(int, case.query.history))
        if len(found) != N or len(good) != N:
            raise PeerError(f"user {case.query.user} got {len(good)} unseen items among {len(found)}; {N} are wanted")
    return np.array([lists[_user(case)] for case in split.test], dtype=np.int32)


def ndcg(split: Split, top: IntArray) -> float:
    """NDCG@10 over the whole catalogue, given ten unseen items ``[case, 10]`` for each test case; the rest ties."""
    values = []
    for start in range(0, len(top), BATCH):
        cases = split.test[start : start + BATCH]
        scores: FloatArray = np.zeros((len(cases), split.dataset.n_items), dtype=np.float32)
        np.put_along_axis(scores, top[start : start + BATCH], np.arange(N, 0, -1, dtype=np.float32)[None], axis=1)
        outcomes = place(scores, np.array([case.positive for case in cases], dtype=np.int32))
        outcomes["valid"] = outcomes["answered"]
        values.append(rank_metric(f"ndcg@{N}").values(ranks_of(outcomes)))
    return float(np.concatenate(values).mean())


def _user(case: Case) -> int:
    if case.query.user is None:
        raise UsageError("peers know users by number, and a test case has none; take leave-one-out")
    return int(case.query.user)
