"""What a protocol fixes before anyone is judged: the candidates, the draws, the metrics."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Protocol(BaseModel):
    """A preset; a subclass changes the defaults, a caller may change them once more: ``Llara(draws=20)``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics: tuple[str, ...] = Field(("hr@1",), min_length=1)
    """Spelled as `metric` reads them. The first is the headline: it picks the best row and is tested in pairs."""
    n: int | None = Field(None, ge=2)
    """Candidates per case, the positive included; None ranks the whole catalogue less what the user has seen."""
    draws: int = Field(1, ge=1)
    """How many candidate lists each case is judged on. A user's draws are averaged before anything is concluded."""
    seed: int = 0
    """Of the candidate draws."""
    exclude: Literal["history", "window"] = "history"
    """What negatives may not be: anything in the history, or only its last ``window`` items."""
    window: int = Field(10, ge=0)

    @property
    def name(self) -> str:
        """The name it is known by: that of its file."""
        return type(self).__module__.rpartition(".")[2].replace("_", "-")

    def describe(self) -> str:
        """The protocol in numbers, one line."""
        if self.n is None:
            return "ranking over the whole catalogue, seen items filtered"
        spared = f"the last {self.window} items seen" if self.exclude == "window" else "everything seen"
        lists = "1 list" if self.draws == 1 else f"up to {self.draws} lists"
        return f"{self.n} candidates, {self.n - 1} drawn uniformly from all but {spared}; {lists} per user"
