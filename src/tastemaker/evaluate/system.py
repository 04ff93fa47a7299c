"""A model, a method or a function -> System: what an evaluation puts into one row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tastemaker.collab.base import CollaborativeModel
from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.types import BoolArray, FloatArray, Query

Kind = Literal["trivial", "collaborative", "llm"]
KINDS: tuple[Kind, ...] = ("trivial", "collaborative", "llm")
"""In the order tables show them."""


@dataclass(frozen=True)
class System:
    """Something to be judged: ``System("LLaRA", "llm", llara.score, draws=20)``.

    Systems that share a name and differ in ``seed`` are averaged into one row.
    """

    name: str
    kind: Kind
    score: Callable[[Sequence[Query]], Sequence[FloatArray]]
    """One array per query, aligned with ``query.candidates``, or with the catalogue where there are none; higher is
    better. All NaN says "no answer", which counts as a miss; minus infinity says "never"."""
    valid: Callable[[Sequence[Query]], BoolArray] | None = None
    """For systems that repair their answers: asked right after ``score``, with the same queries, whether each
    answer was one of the candidates before the repair. Without it, every answer is valid."""
    draws: int | None = None
    """How many of the candidate draws to judge it on, if not all: the costly ones make do with the first few."""
    seed: int | None = None
    """Of its training, where several were trained."""
    scores_catalogue: bool = False
    """Whether one pass scores any number of items and no item's score depends on the others shown: then all the lists
    of a case are asked as one question."""
    probabilities: bool = False
    """Whether its scores are log-probabilities, logits of a softmax, or, where the question is yes or no, log-odds, so
    that calibration means something."""
    notes: str = ""
    """One sentence for the table: settings, what it was tuned on."""

    @classmethod
    def of_model(
        cls,
        name: str,
        model: CollaborativeModel,
        kind: Kind = "collaborative",
        *,
        draws: int | None = None,
        seed: int | None = None,
        notes: str = "",
    ) -> System:
        """A fitted collaborative model as a row."""

        def score(queries: Sequence[Query]) -> Sequence[FloatArray]:
            return model.score_candidates(queries) if queries[0].candidates else list(model.score(queries))

        return cls(
            name,
            kind,
            score,
            draws=draws,
            seed=seed,
            scores_catalogue=True,
            probabilities=model.probabilities,
            notes=notes,
        )

    @classmethod
    def of_pointwise(
        cls, name: str, model: PointwiseModel, kind: Kind = "collaborative", *, seed: int | None = None, notes: str = ""
    ) -> System:
        """A fitted model of yes/no questions as a row."""
        return cls(name, kind, model.score, seed=seed, probabilities=model.probabilities, notes=notes)
