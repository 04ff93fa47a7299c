"""chatrec: rank the whole catalogue, find as much as possible of what each user liked among the first five."""

from __future__ import annotations

from tastemaker.evaluate.protocols.leave_one_out import LeaveOneOut


class Chatrec(LeaveOneOut):
    """Chat-REC's top-5 numbers, for a split that holds out several items of a user (``per-user-ratio``)."""

    metrics: tuple[str, ...] = ("ndcg@5", "precision@5", "recall@5")
