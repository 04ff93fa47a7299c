"""What a conversation knows and what it answers: the typed state that is stored, and the events that are streamed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["user", "assistant"]
Intent = Literal["recommend", "refine", "explain", "details", "other-domain", "small-talk", "undo"]


class Model(BaseModel):
    """Strict JSON: unknown keys, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Filter(Model):
    """One hard constraint, compiled from words and never from a model's code; shown as a chip that can be removed."""

    field: str
    """A column of the catalogue, such as ``genres`` or ``year``."""
    op: Literal["is", "is-not", "at-least", "at-most"]
    value: str | float | list[str]
    """A list means any of them."""


class Card(Model):
    """One item of a list, built from its id alone."""

    item_id: str
    title: str
    attributes: dict[str, str | float | list[str]] = Field(default_factory=dict)
    score: float | None = None
    reason: str = ""
    """One checked sentence."""
    evidence: list[str] = Field(default_factory=list)
    """Ids of the history items that speak for it."""


class Turn(Model):
    """Something that was said, and what was shown with it."""

    role: Role
    text: str
    items: list[str] = Field(default_factory=list)
    """Ids, in the order shown."""


class Wants(Model):
    """What somebody wants at one point of a conversation; what undo goes back to."""

    domain: str = ""
    """Name of the catalogue recommendations come from; empty for the recommender's own."""
    likes: list[str] = Field(default_factory=list)
    dislikes: list[str] = Field(default_factory=list)
    filters: list[Filter] = Field(default_factory=list)
    wish: str = ""
    """The words the latest list answers, filters left out: what catalogue search is asked."""
    anchors: list[str] = Field(default_factory=list)
    """Ids of what the latest list was to be like, of whatever catalogue."""
    shown: list[str] = Field(default_factory=list)
    """Ids of the latest list."""


class Dialogue(Wants):
    """Everything one conversation remembers, by outside ids; what the database keeps."""

    id: str
    user_id: str | None = None
    """A user the recommender knows; None for someone new, who has only ``history``."""
    profile: dict[str, str] = Field(default_factory=dict)
    """What somebody says of themselves, such as ``age``."""
    history: list[str] = Field(default_factory=list)
    """What a new user says they have seen, oldest first; always of the recommender's own catalogue."""
    turns: list[Turn] = Field(default_factory=list)
    past: list[Wants] = Field(default_factory=list)
    """What was wanted before, oldest first."""


class Token(Model):
    """A piece of the reply's text."""

    type: Literal["token"] = "token"
    text: str


class Items(Model):
    """The list that goes with the reply, and the constraints it keeps to."""

    type: Literal["items"] = "items"
    cards: list[Card]
    filters: list[Filter]


class Trace(Model):
    """What happened inside, for the debug pane."""

    intent: Intent
    prompt: str = ""
    candidates: list[str] = Field(default_factory=list)
    scores: list[float | None] = Field(default_factory=list)
    milliseconds: dict[str, float] = Field(default_factory=dict)


class Done(Model):
    """The last event: the dialogue as it is now."""

    type: Literal["done"] = "done"
    dialogue: Dialogue
    degraded: bool = False
    """Whether a language model failed and rules or the retriever stood in."""
    trace: Trace


Event = Annotated[Token | Items | Done, Field(discriminator="type")]
"""What a reply streams, in this order: tokens and at most one list, then done."""
