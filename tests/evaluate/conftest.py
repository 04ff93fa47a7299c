"""A small split whose right answers can be worked out by hand, and systems with known habits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Case, Split
from tastemaker.evaluate.system import Kind, System
from tastemaker.types import FloatArray, Item, Query, User

N_ITEMS, N_USERS = 40, 12


def make_split(n_users: int = N_USERS, n_items: int = N_ITEMS) -> Split:
    """User u has seen items u .. u+4 and then chooses u+5."""
    rows = [(f"u{u}", f"i{(u + i) % n_items}", i) for u in range(n_users) for i in range(6)]
    items = pl.DataFrame({"item_id": [f"i{i}" for i in range(n_items)], "title": [f"Film {i}" for i in range(n_items)]})
    users = pl.DataFrame({"user_id": [f"u{u}" for u in range(n_users)]})
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row")
    dataset = Dataset.from_frames(frame, items, users, name="steps")
    cases = tuple(
        Case(Query(history=tuple(Item((u + i) % n_items) for i in range(5)), user=User(u)), Item((u + 5) % n_items))
        for u in range(n_users)
    )
    return Split(dataset, "steps", {}, dataset.interactions, cases, cases)


@pytest.fixture(scope="session")
def toy() -> SimpleNamespace:
    """The makers below, for tests to call."""
    makers = (make_split, by_item, oracle, constant, half, without_user)
    return SimpleNamespace(**{maker.__name__: maker for maker in makers})


@pytest.fixture(scope="session")
def split() -> Split:
    return make_split()


def by_item(name: str, value: Callable[[Query, np.ndarray], np.ndarray], kind: Kind = "llm", **more: object) -> System:
    """A system that scores an item by its number and the query, whatever the order shown."""

    def score(queries: Sequence[Query]) -> list[FloatArray]:
        items = [np.array(q.candidates) if q.candidates else np.arange(N_ITEMS) for q in queries]
        return [np.asarray(value(q, i), dtype=np.float32) for q, i in zip(queries, items, strict=True)]

    return System(name, kind, score, **{"probabilities": kind != "trivial", **more})  # type: ignore[arg-type]


def oracle(name: str = "oracle", kind: Kind = "llm", **more: object) -> System:
    """Always right: the next item after the last seen."""
    return by_item(name, lambda q, i: i == (q.history[-1] + 1) % N_ITEMS, kind, **more)


def constant(name: str = "constant", kind: Kind = "trivial") -> System:
    """Knows nothing: the same score for everything."""
    return by_item(name, lambda q, i: np.zeros(len(i)), kind)


def half(name: str = "half", kind: Kind = "collaborative", **more: object) -> System:
    """Right for users with an even number, wrong for the others."""
    return by_item(
        name,
        lambda q, i: (
            (1.0 if q.user is not None and q.user % 2 == 0 else -1.0) * (i == (q.history[-1] + 1) % N_ITEMS)
            + 1e-3 * (i % 7 == 0)
        ),
        kind,
        **more,
    )


def without_user(split: Split) -> Split:
    """The same cases asked by strangers."""
    cases = tuple(Case(dataclasses.replace(c.query, user=None), c.positive) for c in split.test)
    return dataclasses.replace(split, test=cases)
