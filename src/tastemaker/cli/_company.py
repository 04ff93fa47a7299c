"""Models under runs -> the rows that keep the runs company, each model once, however many runs stand on it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, count

import numpy as np

from tastemaker import collab
from tastemaker.collab import pointwise
from tastemaker.collab.base import CollaborativeModel, Learned
from tastemaker.recommend import Recommender


class Company:
    """Which models have a row, and what those are called that nobody named.

    ``names`` belong to what was asked for; ``models`` are those among it.
    """

    def __init__(self, names: Iterable[str], models: Iterable[Learned]) -> None:
        self._names, self._models = set(names), list(models)

    def join(self, model: Learned, run: str) -> str | None:
        """The name of a new row for the model under ``run``; None where the very same model has one already."""
        if any(_same(model, other) for other in self._models):
            return None
        kind = _kind(model)
        names = chain((kind, f"{kind} of {run}"), (f"{kind} of {run} ({n})" for n in count(2)))
        name = next(name for name in names if name not in self._names)
        self._models.append(model)
        self._names.add(name)
        return name


def under(recommender: Recommender) -> list[CollaborativeModel]:
    """The retriever, and the model its ranker was tuned on, which may be another."""
    own = getattr(recommender.ranker, "collab", None)
    return [recommender.retriever, *([own] if isinstance(own, CollaborativeModel) else [])]


def _same(one: Learned, other: Learned) -> bool:
    """Whether they have learned the same: a name says nothing, since settings, seeds and rows may differ."""
    if type(one) is not type(other) or one.config != other.config:
        return False
    ours, theirs = one.state(), other.state()
    return ours.keys() == theirs.keys() and all(np.array_equal(array, theirs[name]) for name, array in ours.items())


def _kind(model: Learned) -> str:
    if isinstance(model, pointwise.PointwiseModel):
        return pointwise.models.name_of(type(model))
    return collab.models.name_of(type(model))  # type: ignore[arg-type]
