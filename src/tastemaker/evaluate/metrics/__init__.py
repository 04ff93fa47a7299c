"""Metrics by name, one file each: ``metric("ndcg@10").values(ranks)``."""

from __future__ import annotations

from functools import cache

from tastemaker.errors import UsageError
from tastemaker.evaluate.metrics.base import Metric, PreferenceMetric, RankMetric, Ranks
from tastemaker.registry import Registry

__all__ = [
    "Metric",
    "PreferenceMetric",
    "RankMetric",
    "Ranks",
    "metric",
    "preference_metric",
    "rank_metric",
    "registry",
]

registry = Registry("tastemaker.evaluate.metrics", Metric, "metric")


@cache
def metric(spelling: str) -> Metric:
    """The metric so written: ``hr@1``, ``ndcg@10``, ``mrr``, ``auc``, ``uauc`` ... Raises `UsageError`."""
    stem, at, cutoff = spelling.partition("@")
    if at and not (cutoff.isascii() and cutoff.isdigit()):
        raise UsageError(f"metric {spelling!r}: the cut-off after @ must be a whole number, as in {stem}@10")
    return registry.get(stem)(int(cutoff) if at else None)


def rank_metric(spelling: str) -> RankMetric:
    """The metric of ranked lists that is so written. Raises `UsageError`."""
    found = metric(spelling)
    if not isinstance(found, RankMetric):
        raise UsageError(f"metric {spelling!r} is of yes-or-no questions; this protocol ranks lists")
    return found


def preference_metric(spelling: str) -> PreferenceMetric:
    """The metric of yes-or-no questions that is so written. Raises `UsageError`."""
    found = metric(spelling)
    if not isinstance(found, PreferenceMetric):
        raise UsageError(f"metric {spelling!r} is of ranked lists; this protocol asks yes or no")
    return found
