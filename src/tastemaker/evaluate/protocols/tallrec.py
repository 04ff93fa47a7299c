"""tallrec: like or not, judged over all rows and within users."""

from __future__ import annotations

from tastemaker.evaluate.protocols.base import PreferenceProtocol


class Tallrec(PreferenceProtocol):
    """TALLRec's AUC, and beside it what a user feels: the AUC within users. No test user is in train, bar one.

    Pooled over sixteen users, AUC measures above all how generous each of them is.
    """

    min_train_counts: tuple[int, ...] = ()
