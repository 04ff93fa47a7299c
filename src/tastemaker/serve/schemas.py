"""The bodies of requests and answers; every limit sits on its field."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from tastemaker.serve.chat.dialogue import Card, Dialogue, Filter, Trace


def _plain(text: str) -> str:
    if "\x00" in text:
        raise ValueError("has a NUL character")
    return text


Id = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_plain)]
DialogueId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Said = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000), AfterValidator(_plain)]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), AfterValidator(_plain)]
Word = Annotated[str, StringConstraints(max_length=500), AfterValidator(_plain)]
AttributeName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
History = Annotated[list[Id], Field(max_length=500)]


class Body(BaseModel):
    """What a client sends: nothing unknown, no NaN, no infinity."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Asked(Body):
    """For whom: ``user``, or ``history`` for somebody new (item ids, oldest first)."""

    user: Id | None = None
    history: History | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.user is None) == (self.history is None):
            raise ValueError("give either user or history")
        return self


class AskRecommendations(Asked):
    """Of ``POST /v1/recommendations``."""

    n: int = Field(10, ge=1, le=100, strict=True)
    candidates: list[Id] | None = Field(None, min_length=1, max_length=200)
    """Only these."""
    filter_seen: bool = Field(True, strict=True)


class AskScores(Asked):
    """Of ``POST /v1/scores``."""

    items: list[Id] = Field(min_length=1, max_length=200)


class AskExplanation(Asked):
    """Of ``POST /v1/explanations``."""

    item: Id


class NewItem(Body):
    """An item that the catalogue does not have yet."""

    item_id: Id
    title: Title
    attributes: dict[AttributeName, float | Word | Annotated[list[Word], Field(max_length=50)]] = Field(
        default_factory=dict, max_length=50
    )

    @field_validator("attributes")
    @classmethod
    def _names_of_their_own(cls, attributes: dict[str, Any]) -> dict[str, Any]:
        if attributes.keys() & {"item_id", "title"}:
            raise ValueError("item_id and title stand beside the attributes, not among them")
        return attributes


class AddItems(Body):
    """Of ``POST /v1/items``."""

    items: list[NewItem] = Field(min_length=1, max_length=200)


class GiveFeedback(Body):
    """Of ``POST /v1/feedback``: what a user, or the person of a dialogue, thinks of an item."""

    item: Id
    verdict: Literal["like", "dislike", "none"]
    """None takes an earlier one back."""
    user: Id | None = None
    dialogue_id: DialogueId | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.user is None) == (self.dialogue_id is None):
            raise ValueError("give either user or dialogue_id")
        return self


class Say(Body):
    """Of ``POST /v1/chat``. The first message of a dialogue may say who speaks; later ones name the dialogue."""

    message: Said
    """Nothing, within a dialogue: asks again for what it is about, as after a filter was dropped."""
    dialogue_id: DialogueId | None = None
    user: Id | None = None
    history: History | None = None
    domain: Annotated[str, StringConstraints(max_length=64), AfterValidator(_plain)] = ""
    stream: bool = Field(True, strict=True)
    """Events as they come, or one JSON object at the end."""
    debug: bool = Field(False, strict=True)
    """With what happened inside."""

    @model_validator(mode="after")
    def _who_speaks_is_said_once(self) -> Self:
        if self.dialogue_id is not None and (self.user is not None or self.history is not None or self.domain):
            raise ValueError("user, history and domain are for the first message, without dialogue_id")
        if self.user is not None and self.history is not None:
            raise ValueError("give either user or history")
        if not self.message and self.dialogue_id is None:
            raise ValueError("a dialogue begins with a message")
        return self


class ChangeDialogue(Body):
    """Of ``PATCH /v1/dialogues/{id}``: the filters that are left."""

    filters: list[Filter] = Field(max_length=50)


class TextPart(BaseModel):
    """A part of a message, as OpenAI's clients may send it."""

    type: Literal["text"]
    text: Annotated[str, StringConstraints(max_length=32_000)]


class Message(BaseModel):
    """One message of a chat client. What it has besides is not ours to read."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, StringConstraints(max_length=32_000)] | Annotated[list[TextPart], Field(max_length=20)]

    @property
    def text(self) -> str:
        """All it says."""
        return self.content if isinstance(self.content, str) else " ".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """Of a streamed completion."""

    include_usage: bool = False


class AskCompletion(BaseModel):
    """Of ``POST /v1/chat/completions``. Clients send settings of many models; those we have no use for are ignored."""

    model_config = ConfigDict(allow_inf_nan=False)

    model: Annotated[str, StringConstraints(max_length=100)]
    messages: list[Message] = Field(min_length=1, max_length=200)
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int = Field(1, ge=1, le=1)
    user: Annotated[str, StringConstraints(max_length=256), AfterValidator(_plain)] | None = None


class Recommended(BaseModel):
    """One place of a list."""

    item_id: str
    title: str
    rank: int
    score: float | None


class RecommendationsAnswer(BaseModel):
    """What ``/v1/recommendations`` answers."""

    recommendations: list[Recommended]
    degraded: bool
    """Whether the language model failed and the retriever answered alone."""
    repairs: int


class Scored(BaseModel):
    """The score of one item."""

    item_id: str
    score: float | None


class ScoresAnswer(BaseModel):
    """What ``/v1/scores`` answers, in the order of the items."""

    scores: list[Scored]
    degraded: bool


class ChatAnswer(BaseModel):
    """What ``/v1/chat`` answers when it does not stream."""

    dialogue_id: str
    reply: str
    items: list[Card]
    filters: list[Filter]
    degraded: bool
    trace: Trace | None = None


class CardsAnswer(BaseModel):
    """Items of the catalogue."""

    items: list[Card]


class DialogueAnswer(BaseModel):
    """A dialogue, and a card for every item it has shown or knows of."""

    dialogue: Dialogue
    cards: dict[str, Card]


def field_names() -> frozenset[str]:
    """Every field a body can have: the words that an error message may repeat."""
    bodies: list[type[BaseModel]] = [*_below(Body), Filter, AskCompletion, Message, TextPart, StreamOptions]
    return frozenset(name for body in bodies for name in body.model_fields) | {"q", "n"}


def _below(kind: type[BaseModel]) -> list[type[BaseModel]]:
    return [one for direct in kind.__subclasses__() for one in (direct, *_below(direct))]
