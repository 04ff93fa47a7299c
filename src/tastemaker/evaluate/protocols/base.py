"""What a protocol fixes before anyone is judged: the questions and the metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Protocol(BaseModel, ABC):
    """A preset; a subclass changes the defaults, a caller may change them once more: ``Llara(draws=20)``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics: tuple[str, ...] = Field(("hr@1",), min_length=1)
    """Spelled as `metric` reads them. The first is the headline: it picks the best row and is tested in pairs."""

    @property
    def name(self) -> str:
        """The name it is known by: that of its file."""
        return type(self).__module__.rpartition(".")[2].replace("_", "-")

    @property
    def tested(self) -> tuple[str, ...]:
        """The metrics on which systems are tested in pairs."""
        return self.metrics[:1]

    @abstractmethod
    def describe(self) -> str:
        """The protocol in numbers, one line."""


class ListProtocol(Protocol):
    """Every case is a list of candidates to be put in order, one of them the item really chosen."""

    n: int | None = Field(None, ge=2)
    """Candidates per case, the positive included; None ranks the whole catalogue less what the user has seen."""
    draws: int = Field(1, ge=1)
    """How many candidate lists each case is judged on. A user's draws are averaged before anything is concluded."""
    seed: int = 0
    """Of the candidate draws."""
    exclude: Literal["history", "window"] = "history"
    """What negatives may not be: anything in the history, or only its last ``window`` items."""
    window: int = Field(10, ge=0)

    def describe(self) -> str:
        """The protocol in numbers, one line."""
        if self.n is None:
            return "ranking over the whole catalogue, seen items filtered"
        spared = f"the last {self.window} items seen" if self.exclude == "window" else "everything seen"
        lists = "1 list" if self.draws == 1 else f"up to {self.draws} lists"
        return f"{self.n} candidates, {self.n - 1} drawn uniformly from all but {spared}; {lists} per user"


class PreferenceProtocol(Protocol):
    """Every case is one item shown to one user: liked or not?"""

    metrics: tuple[str, ...] = Field(("auc", "uauc", "undcg", "log_loss"), min_length=1)
    min_train_counts: tuple[int, ...] = (1, 3)
    """How many training rows make a user or an item warm; the slices are made for each of these."""

    @property
    def tested(self) -> tuple[str, ...]:
        """The headline, and what users feel."""
        return tuple(name for name in self.metrics if name in (self.metrics[0], "uauc"))

    def describe(self) -> str:
        """The protocol in numbers, one line."""
        counts = " or ".join(map(str, self.min_train_counts))
        warm = f"; warm: {counts} or more train rows of the user and of the item" if counts else ""
        return f"like or not, one item at a time; intervals and tests are bootstrapped over users{warm}"
