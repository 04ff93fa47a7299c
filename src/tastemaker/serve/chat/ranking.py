"""What the recommender thinks, what was wished for and what a language model makes of it -> one order of candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tastemaker.llm.base import LanguageModel
from tastemaker.methods._chat_prompt import Scene, ranking_prompt
from tastemaker.prompts.prompt import Item as Title
from tastemaker.prompts.prompt import Prompt
from tastemaker.serve.chat.claims import Row
from tastemaker.serve.chat.dialogue import Filter
from tastemaker.serve.chat.shelf import Shelf
from tastemaker.types import BoolArray, FloatArray, Query

WISHED = 2.0
"""How much more a wish weighs than the taste behind it."""
GENRES = "genres"
"""The column that says what kind of thing an item is, wherever there is one."""
FOUND = 200
"""Search results that count."""


def sharing(shelf: Shelf, anchors: Sequence[Row], allowed: BoolArray, n: int) -> BoolArray:
    """Of what is allowed, what shares a genre (without genres: anything) with items it should be like, if enough."""
    if not anchors:
        return allowed
    found: BoolArray = allowed & (np.sum([shelf.reasons.overlap(row, GENRES) for row in anchors], axis=0) > 0)
    return found if found.sum() >= n else allowed


def relevance(
    shelf: Shelf,
    wish: str,
    anchors: Mapping[str, Row],
    elsewhere: FloatArray | None,
    filters: Sequence[Filter],
) -> FloatArray | None:
    """``[item]``, 0 to 1: how well each answers the wish; None if there is no wish but good taste.

    ``elsewhere`` is the vector of what somebody likes in another catalogue.
    """
    size = shelf.catalogue.items.height
    parts: list[FloatArray] = []
    if wish:
        parts.append(_by_place(shelf, [i for i, _ in shelf.catalogue.search(wish, FOUND, filters)], size))
    own = [item_id for item_id in anchors if item_id in shelf.catalogue]
    if own:
        near = shelf.catalogue.nearest(shelf.catalogue.vectors(own).mean(0), FOUND, filters)
        parts.append(_by_place(shelf, [item_id for item_id, _ in near], size))
        if numbers := shelf.numbers(own):
            levels = np.zeros(size, dtype=np.float32)
            levels[: shelf.own] = shelf.levels(Query(numbers))
            parts.append(levels)
    if anchors:
        parts.append(np.mean([_share(shelf.reasons.overlap(row)) for row in anchors.values()], axis=0))
    if elsewhere is not None:
        near = shelf.catalogue.nearest(elsewhere, FOUND, filters)
        parts.append(_by_place(shelf, [item_id for item_id, _ in near], size))
    return np.mean(parts, axis=0, dtype=np.float32) if parts else None


def by_model(lm: LanguageModel, scene: Scene, weight: float, scores: FloatArray) -> tuple[FloatArray, Prompt]:
    """``[candidate]`` scores, those given and the model's, each in units of its own spread, and the prompt it read."""
    prompt = ranking_prompt(scene, lm, answer=1 + max((len(one.text) for one in scene.candidates), default=0))
    (told,) = lm.score([prompt], [[Prompt.of(Title(one.item, one.text), "\n") for one in scene.candidates]])
    return _spread(scores) + weight * _spread(told), prompt


def profile_of(row: Mapping[str, object]) -> dict[str, str]:
    """What a known user's row says, for a prompt."""
    return {name: str(value) for name, value in row.items() if name != "user_id" and value not in (None, "")}


def _by_place(shelf: Shelf, ids: Sequence[str], size: int) -> FloatArray:
    found = np.zeros(size, dtype=np.float32)
    for place, item_id in enumerate(ids):
        found[shelf.catalogue.row(item_id)] = 1 / (1 + place / 10)
    return found


def _share(overlap: FloatArray) -> FloatArray:
    return overlap / max(1.0, float(overlap.max()))


def _spread(scores: FloatArray) -> FloatArray:
    deviation = float(scores.std())
    spread: FloatArray = (scores - scores.mean()) / deviation if deviation > 0 else scores * 0
    return spread
