"""Ratings and a recommender's scores -> the rating somebody would give: biases, factors and neighbours together."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tastemaker import artifacts
from tastemaker.data.dataset import Dataset
from tastemaker.errors import ArtifactError, UsageError
from tastemaker.recommend import Recommender
from tastemaker.serve.chat.rating_models import Doubles, biases, by_neighbours, factors, neighbours
from tastemaker.types import FloatArray, IntArray, Item, Query

_HELD = 0.1  # of the ratings: what decides how much each part counts
_STRANGERS = 200  # users taken for new ones, to learn what a retriever's scores say of a rating


@dataclass(frozen=True)
class _Parts:
    """What was learned of users who have ratings."""

    mean: float
    users: Doubles
    items: Doubles
    user_factors: Doubles
    item_factors: Doubles
    rest: Any
    """Sparse ``[user, item]``: ratings less mean and biases."""
    near: Any
    """Sparse ``[item, item]``."""

    @classmethod
    def fit(cls, user: IntArray, item: IntArray, rating: Doubles, size: tuple[int, int], seed: int) -> Self:
        mean = float(rating.mean())
        users, items = biases(user, item, rating - mean, *size)
        left = rating - mean - users[user] - items[item]
        rest = sparse.coo_array((left, (user, item)), shape=size).tocsr()
        return cls(mean, users, items, *factors(rest, np.random.default_rng(seed)), rest, neighbours(rest))

    def base(self, user: IntArray, item: IntArray) -> Doubles:
        """``[pair]``: mean and biases."""
        return np.asarray(self.mean + self.users[user] + self.items[item])

    def told(self, user: IntArray, item: IntArray) -> Doubles:
        """``[pair, 2]``: what factors and neighbours add."""
        products = (self.user_factors[user] * self.item_factors[item]).sum(axis=1)
        return np.stack([products, by_neighbours(self.rest, self.near, user, item)], axis=1)


@dataclass(frozen=True)
class Ratings:
    """What users with ratings think, and what a retriever's scores say of those without."""

    parts: _Parts
    weights: Doubles
    """Of factors and neighbours."""
    slope: float
    """How much a rating rises with one unit of spread of the retriever's score."""
    lowest: float
    highest: float

    @classmethod
    def fit(cls, data: Dataset, recommender: Recommender, *, seed: int = 0) -> Self:
        """From all ratings of ``data``; how much each part counts, by least squares on a tenth held out at first."""
        rows = data.interactions.drop_nulls("rating").unique(["user", "item"], keep="last", maintain_order=True)
        if rows.is_empty():
            raise UsageError(f"{data.name} has no ratings to predict from")
        user, item = rows["user"].to_numpy(), rows["item"].to_numpy()
        rating = rows["rating"].to_numpy().astype(np.float64)
        size, rng = (data.n_users, data.n_items), np.random.default_rng(seed)
        held = rng.random(len(rating)) < _HELD
        weights: npt.NDArray[np.float64] = np.zeros(2)
        slope = 0.0
        if held.any() and not held.all():
            first = _Parts.fit(user[~held], item[~held], rating[~held], size, seed)
            told, left = first.told(user[held], item[held]), rating[held] - first.base(user[held], item[held])
            weights = np.linalg.solve(told.T @ told + np.eye(2), told.T @ left).astype(np.float64)
            drawn = rng.permutation(np.unique(user[held]))[:_STRANGERS]
            asked = held & np.isin(user, drawn)
            slope = _slope(first, recommender, user, item, asked, rating)
        parts = _Parts.fit(user, item, rating, size, seed)
        return cls(parts, weights, slope, float(rating.min()), float(rating.max()))

    def predict(self, query: Query, item: int | None, recommender: Recommender) -> float:
        """A rating within the range there is; an item without ratings is as good as the mean."""
        if item is None:
            told = self.parts.mean if query.user is None else self.parts.mean + float(self.parts.users[query.user])
        elif query.user is not None:
            return float(self.predicted(np.array([query.user]), np.array([item]))[0])
        else:
            told = self.parts.mean + float(self.parts.items[item])
            if query.history:
                told += self.slope * float(_spread(recommender.retriever.score([query])[0])[item])
        return float(np.clip(told, self.lowest, self.highest))

    def predicted(self, user: IntArray, item: IntArray) -> Doubles:
        """``[pair]``: `predict` for known users and items."""
        told = self.parts.base(user, item) + self.parts.told(user, item) @ self.weights
        return np.asarray(np.clip(told, self.lowest, self.highest))

    @property
    def size(self) -> tuple[int, int]:
        """Of how many users and items."""
        return len(self.parts.users), len(self.parts.items)

    def save(self, path: Path) -> None:
        """Write it as a verified directory. Raises `ArtifactError`."""
        about = {"mean": self.parts.mean, "slope": self.slope, "lowest": self.lowest, "highest": self.highest}
        arrays = {name: getattr(self.parts, name) for name in ("users", "items", "user_factors", "item_factors")}
        for name in ("rest", "near"):
            arrays |= {f"{name}.{part}": getattr(getattr(self.parts, name), part) for part in _SPARSE}
        artifacts.save(
            path, kind="ratings", json={"about": about}, arrays={"parts": {"weights": self.weights, **arrays}}
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote. Raises `ArtifactError`."""
        found = artifacts.load(path, "ratings")
        about, arrays = found.json("about"), {name: np.array(a) for name, a in found.arrays("parts").items()}
        try:
            size = len(arrays["users"]), len(arrays["items"])
            tables = {"rest": _table(arrays, "rest", size), "near": _table(arrays, "near", (size[1], size[1]))}
            own = {field.name: arrays[field.name] for field in fields(_Parts) if field.name in arrays}
            parts = _Parts(mean=float(about["mean"]), **own, **tables)
            numbers = {name: float(about[name]) for name in ("slope", "lowest", "highest")}
            return cls(parts, arrays["weights"], **numbers)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{path}: not ratings that this version reads ({error}); make them again") from error


_SPARSE = ("data", "indices", "indptr")


def _table(arrays: dict[str, Any], name: str, shape: tuple[int, int]) -> Any:
    table = sparse.csr_array(tuple(arrays[f"{name}.{part}"] for part in _SPARSE), shape=shape)
    table.check_format(full_check=True)  # an index out of range would be read unchecked
    return table


def _slope(
    parts: _Parts, recommender: Recommender, user: IntArray, item: IntArray, asked: Any, rating: Doubles
) -> float:
    """Of held-out ratings on the scores that strangers with the rest of their history would get, within users."""
    above, below, users = 0.0, 1.0, np.unique(user[asked])
    for one in users.tolist():
        known, mine = item[(user == one) & ~asked], item[(user == one) & asked]
        left = rating[(user == one) & asked] - parts.base(np.full(len(mine), one), mine)
        told = _spread(recommender.retriever.score([Query(tuple(map(Item, known.tolist())))])[0])[mine]
        told = told - told.mean()
        above, below = above + float(told @ left), below + float(told @ told)
    return above / (below + len(users))


def _spread(scores: FloatArray) -> FloatArray:
    """Scores in units of their spread, far outliers cut."""
    deviation = float(scores.std()) or 1.0
    spread: FloatArray = np.clip((scores - scores.mean()) / deviation, -3, 3)
    return spread
