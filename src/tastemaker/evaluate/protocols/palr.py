"""palr: rank the whole catalogue for each user's last item; what retrieval misses is a zero."""

from __future__ import annotations

from tastemaker.evaluate.protocols.leave_one_out import LeaveOneOut


class Palr(LeaveOneOut):
    """PALR's HR@10 and NDCG@10 over all users, with shorter and longer lists and MRR beside them."""

    metrics: tuple[str, ...] = ("ndcg@10", "hr@10", "ndcg@5", "hr@5", "ndcg@20", "hr@20", "mrr")
