"""llara: pick the next item from 20, as LLaRA was judged, but on frozen lists."""

from __future__ import annotations

from typing import Literal

from tastemaker.evaluate.protocols.base import ListProtocol


class Llara(ListProtocol):
    """HR@1 over *all* users and the valid ratio beside it; negatives avoid only the ten items shown.

    The paper drew new candidates in every run, which alone moves HR@1 by 3 to 4 points on 95 users.
    """

    metrics: tuple[str, ...] = ("hr@1", "valid_ratio", "hr@5", "ndcg@5", "mrr")
    n: int | None = 20
    draws: int = 100
    exclude: Literal["history", "window"] = "window"
