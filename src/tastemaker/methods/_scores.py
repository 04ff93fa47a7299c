"""Scores of several sources -> numbers that can be added."""

from __future__ import annotations

import numpy as np

from tastemaker.types import FloatArray


def standard(scores: FloatArray) -> FloatArray:
    """Each row with mean 0 and deviation 1, what is not finite left out of account."""
    finite = np.where(np.isfinite(scores), scores, np.nan)
    mean, deviation = np.nanmean(finite, axis=1, keepdims=True), np.nanstd(finite, axis=1, keepdims=True)
    found: FloatArray = ((scores - mean) / np.where(deviation > 0, deviation, 1)).astype(np.float32)
    return found
