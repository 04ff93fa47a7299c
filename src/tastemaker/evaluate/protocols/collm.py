"""collm: like or not, judged over all rows and within users, for users and items seen in training and not."""

from __future__ import annotations

from tastemaker.evaluate.protocols.base import PreferenceProtocol


class Collm(PreferenceProtocol):
    """CoLLM's AUC, UAUC and NDCG, the latter two over the users whose rows are neither all liked nor all disliked.

    The paper calls warm what training shows three times, its released files what it shows once: both are told.
    """
