"""leave-one-out-20: pick each user's last item from one frozen list of 20."""

from __future__ import annotations

from tastemaker.evaluate.protocols.base import ListProtocol


class LeaveOneOut20(ListProtocol):
    """For systems that cannot rank a whole catalogue; negatives are items the user never touched before."""

    metrics: tuple[str, ...] = ("hr@1", "valid_ratio", "hr@5", "ndcg@5", "ndcg@10", "mrr", "mean_rank")
    n: int | None = 20
