"""The public names of tastemaker, each imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tastemaker import collab, data, errors, evaluate, llm, methods
    from tastemaker.data import CandidateSet, Dataset, Split, load_dataset, load_split
    from tastemaker.errors import TastemakerError
    from tastemaker.recommend import Recommender
    from tastemaker.types import Item, Query, Ranking, User

try:
    __version__ = version("tastemaker")
except PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0.1.0"

__all__ = [
    "CandidateSet",
    "Dataset",
    "Item",
    "Query",
    "Ranking",
    "Recommender",
    "Split",
    "TastemakerError",
    "User",
    "collab",
    "data",
    "errors",
    "evaluate",
    "llm",
    "load_dataset",
    "load_split",
    "methods",
]

_HOMES = {
    "data": ("CandidateSet", "Dataset", "Split", "load_dataset", "load_split"),
    "errors": ("TastemakerError",),
    "recommend": ("Recommender",),
    "types": ("Item", "Query", "Ranking", "User"),
}


def __getattr__(name: str) -> Any:
    """The public name, imported now: ``import tastemaker`` alone loads neither torch nor polars."""
    if name not in __all__:
        raise AttributeError(f"tastemaker has no {name!r}")
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"tastemaker.{module}"), name)
    return import_module(f"tastemaker.{name}")


def __dir__() -> list[str]:
    return __all__
