"""Metrics by name, one file each: ``metric("ndcg@10").values(ranks)``."""

from __future__ import annotations

from functools import cache

from tastemaker.errors import UsageError
from tastemaker.evaluate.metrics.base import Metric, Ranks
from tastemaker.registry import Registry

__all__ = ["Metric", "Ranks", "metric", "registry"]

registry = Registry("tastemaker.evaluate.metrics", Metric, "metric")  # type: ignore[type-abstract]


@cache
def metric(spelling: str) -> Metric:
    """The metric so written: ``hr@1``, ``ndcg@10``, ``mrr``, ``mean_rank``, ``valid_ratio``. Raises `UsageError`."""
    stem, at, cutoff = spelling.partition("@")
    if at and not (cutoff.isascii() and cutoff.isdigit()):
        raise UsageError(f"metric {spelling!r}: the cut-off after @ must be a whole number, as in {stem}@10")
    return registry.get(stem)(int(cutoff) if at else None)
