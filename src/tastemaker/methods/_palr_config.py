"""PALR's settings, as the paper or as validation has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from tastemaker.methods._palr_tasks import Task
from tastemaker.methods._timeline import TimelineConfig


class PALRConfig(TimelineConfig):
    """Settings of PALR. ``mode="faithful"`` changes the defaults to the paper's; what is given stays as given."""

    PROMPTED: ClassVar[dict[str, Any]] = {"history": 20, "learning_rate": 1e-4, "epochs": 3.0, "average": None}
    """What changes where candidates stand in the prompt."""
    FAITHFUL: ClassVar[dict[str, Any]] = {"decode": "free", "user_share": 0.2, **PROMPTED}
    """What the paper states, v2 of it (v1 with ``tasks=["recommend"]``); rates, epochs and LoRA are ours, since it
    gives none."""

    decode: Literal["timeline", "score", "letters", "trie", "free"] = "timeline"
    """``timeline``: candidates are scored from hidden states, and fused with the retriever. The others show the
    candidates in the prompt and rank by their titles' probabilities, by one label token, by a list bound to them,
    or by a list written freely and matched."""
    tasks: tuple[Task, ...] = Field(("recommend", "recommend-retrieval"), min_length=1)
    """What the prompts of the instruction data ask (not ``timeline``)."""
    profile: Literal["counted", "written", "none"] = "counted"
    """Whose words about the user stand in the prompt: attributes counted, the language model's own, or nobody's."""
    keywords: int = Field(4, ge=1, le=20)
    """How many of them."""
    n: int = Field(50, ge=2)
    """How many the retriever proposes, in tuning and wherever the fusion is chosen."""
    user_share: float = Field(1.0, gt=0, le=1)
    """The share of users that are tuned on; the paper's is 0.2."""
    domain: Literal["movie", "product", "item"] = "movie"
    """Which words the prompts use."""
    ids: bool = False
    """Whether all names begin with the item's id, as the paper's ASINs; if not, only those that need it."""
    title_limit: int = Field(80, ge=8, le=200)
    """Characters of a title."""
    content: Literal["hybrid", "text", "behaviour"] = "behaviour"
    """What stands for an item of a timeline: title and vector, title only or vector only."""
    window: int = Field(50, ge=2)
    """Most candidates in one prompt; more are read in windows."""
    list_length: int = Field(10, ge=1)
    """How many titles a list names."""
    permutations: int = Field(1, ge=1)
    """Orders of the candidates that ``letters`` averages over."""
    prompt_tokens: int = Field(2048, ge=64)
    """Most tokens of a prompt with candidates, or of one that asks for a profile."""
    batch_rows: int = Field(4, ge=1)
    """Instructions in a micro-batch."""

    @classmethod
    def changed(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """The defaults that these settings change: ``mode`` first, then ``decode``."""
        prompted = given.get("decode", "timeline") != "timeline"
        return super().changed(given) or (cls.PROMPTED if prompted else {})
