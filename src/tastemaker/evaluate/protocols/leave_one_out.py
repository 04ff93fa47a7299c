"""leave-one-out: rank the whole catalogue for each user's last item."""

from __future__ import annotations

from tastemaker.evaluate.protocols.base import ListProtocol


class LeaveOneOut(ListProtocol):
    """HR, NDCG and MRR over every item the user has not seen: no sampling, so nothing to be lucky with."""

    metrics: tuple[str, ...] = ("ndcg@10", "hr@1", "hr@5", "hr@10", "ndcg@5", "mrr@10")
