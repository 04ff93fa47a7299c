"""Items in words -> how near each candidate is in meaning to what somebody chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tastemaker.data.dataset import Dataset
from tastemaker.llm.sentences import SentenceEncoder
from tastemaker.prompts.clean import clean, plain_title
from tastemaker.types import FloatArray, Item, Progress

_SHARPNESS = 5.0
"""How much more the nearest items of a history count than its mean; between the mean (0) and the nearest alone."""
_LONGEST = 2_000  # characters of an item
_OWN = ("item_id", "title")


def item_vectors(data: Dataset, encoder: SentenceEncoder, progress: Progress) -> FloatArray:
    """``[item, size]`` unit vectors of titles and attributes, what all items have in common taken away."""
    vectors = encoder.encode([_text(row) for row in data.items.iter_rows(named=True)], progress=progress)
    apart = vectors - vectors.mean(axis=0)
    unit: FloatArray = (apart / np.linalg.norm(apart, axis=1, keepdims=True).clip(min=1e-9)).astype(np.float32)
    return unit


def nearness(vectors: FloatArray, history: Sequence[Item], items: Sequence[Item]) -> FloatArray:
    """``[item]``: the soft maximum of the cosines with what is in the history; all alike without one."""
    known = [item for item in history if 0 <= item < len(vectors)]
    if not known:
        return np.zeros(len(items), dtype=np.float32)
    cosines = vectors[list(items)] @ vectors[known].T
    near: FloatArray = np.log(np.exp(_SHARPNESS * cosines).mean(axis=1))
    return near


def _text(row: Mapping[str, Any]) -> str:
    told = [plain_title(clean(str(row["title"] or row["item_id"])))]
    for name, value in row.items():
        if name not in _OWN and isinstance(value, str | int | float | list) and value:
            told.append(f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return clean(". ".join(told), _LONGEST)
