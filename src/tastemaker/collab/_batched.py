"""Networks that read whole histories: scored some hundred queries at a time, judged by how they rank a positive."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from tastemaker.collab.base import CollaborativeModel
from tastemaker.data.candidates import expected_hits
from tastemaker.data.split import Case
from tastemaker.types import FloatArray, Query

BATCH = 512
"""Queries that are read at once."""


class BatchedModel(CollaborativeModel):
    """A subclass writes ``_score_batch`` in place of ``_score``."""

    @abstractmethod
    def _score_batch(self, queries: Sequence[Query]) -> FloatArray: ...

    def validate(self, cases: Sequence[Case]) -> FloatArray:
        """``[case]``: the chance to rank the positive first among 20, exact over all draws of the negatives."""
        batches = [cases[start : start + BATCH] for start in range(0, len(cases), BATCH)]
        found = [expected_hits(self.score([case.query for case in some]), some, 20) for some in batches]
        return np.concatenate([np.zeros(0, np.float32), *found])

    def _score(self, queries: Sequence[Query]) -> FloatArray:
        parts = [self._score_batch(queries[start : start + BATCH]) for start in range(0, len(queries), BATCH)]
        return np.concatenate(parts)
