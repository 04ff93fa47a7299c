"""Every limit of the service, in one frozen config."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """How much is let in, how long anything may take, how much is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    replies: int = Field(2, ge=1, le=64)
    """Replies of the conversation that are worked on at once."""
    replies_waiting: int = Field(8, ge=0, le=10_000)
    """Replies that may wait for their turn; any further one is refused at once."""
    lookups: int = Field(4, ge=1, le=64)
    """Recommendations, scores, explanations and searches that are worked on at once."""
    rankings: int = Field(2, ge=1, le=64)
    """How many of them wait for a ranker whose language model is a server's; the retriever answers any further one."""
    lookups_waiting: int = Field(32, ge=0, le=10_000)
    """Lookups that may wait for their turn."""
    deadline: float = Field(30.0, gt=0)
    """Seconds until an answer must be there, or the next piece of one that is streamed."""
    stream_deadline: float = Field(120.0, gt=0)
    """Seconds until a streamed answer must have ended."""
    ping: float = Field(15.0, gt=0)
    """Seconds of silence after which a stream shows that it is alive."""
    body_bytes: int = Field(64 * 1024, ge=1024)
    """The longest body of a request."""
    body_seconds: float = Field(10.0, gt=0)
    """How long a body may take to arrive."""
    send_seconds: float = Field(20.0, gt=0)
    """How long a client may take to read a piece of its answer."""
    rate: float = Field(60.0, gt=0)
    """Requests for the models a minute and key; other requests count a tenth. Without keys there is no such limit."""
    burst: float = Field(10.0, ge=1)
    """How many of them may come at once."""
    wrong_keys: int = Field(100, ge=1)
    """Keys that are none, a minute and address, until the answer is to wait."""
    turns: int = Field(50, ge=1)
    """Messages a person can send within one dialogue."""
    characters: int = Field(32_000, ge=2_000)
    """The longest dialogue."""
    dialogues: int = Field(1_000, ge=1)
    """Dialogues kept for each key; those not used for longest go first."""
    dialogue_days: float = Field(30.0, gt=0)
    """Dialogues not used for so long are forgotten."""
    grace: int = Field(20, ge=0)
    """Seconds that answers under way have when the service is told to stop."""
    openapi: bool = False
    """Whether ``/openapi.json`` is there."""
