"""Ranks of positives, or scores of judged rows -> values: the two frames that metrics fill in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from tastemaker.errors import UsageError
from tastemaker.evaluate.judged import Judged
from tastemaker.types import BoolArray, IntArray

Values = npt.NDArray[np.float64]
"""``[case]``."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Where each case's positive stands; every array is ``[case]``.

    With ties the positive stands anywhere from ``above + 1`` to ``above + tied + 1`` (1 is best), each place
    equally likely. Metrics give the mean over those places, so a system that scores everything alike gets what
    guessing gets, whatever order the candidates were shown in.
    """

    above: IntArray
    """How many other items score strictly higher."""
    tied: IntArray
    """How many other items score exactly the same."""
    n: IntArray
    """How many items were ranked, the positive included."""
    answered: BoolArray
    """False where the system gave no answer at all: a miss in every metric."""
    valid: BoolArray
    """False where the system's own answer was not one of the candidates, even if it was repaired afterwards."""

    @property
    def middle(self) -> Values:
        """The mean place of the positive; the last place where there was no answer."""
        return np.where(self.answered, 1.0 + self.above + self.tied / 2.0, self.n.astype(np.float64))


class Metric:
    """A number of a table. A subclass lives in a file of its own, which gives it its name: ``hr.py`` is ``hr@k``."""

    cutoff: ClassVar[Literal["required", "optional", "none"]] = "none"
    """Whether ``name@k`` is the way to write it."""
    higher_is_better: ClassVar[bool] = True
    binary: ClassVar[bool] = False
    """True if a case without ties scores either 0 or 1."""

    def __init__(self, k: int | None = None) -> None:
        """With the cut-off ``k``, which some metrics must and some cannot have. Raises `UsageError`."""
        stem = type(self).__module__.rpartition(".")[2]
        if k is None and self.cutoff == "required":
            raise UsageError(f"metric {stem!r} needs a cut-off; write {stem}@10")
        if k is not None and self.cutoff == "none":
            raise UsageError(f"metric {stem!r} takes no cut-off; write {stem}")
        if k is not None and k < 1:
            raise UsageError(f"metric {stem}@{k}: the cut-off must be 1 or more")
        self.k = k
        self.name = stem if k is None else f"{stem}@{k}"


class RankMetric(Metric, ABC):
    """A number per right answer, and from these one per question; the mean over *all* questions is what is shown."""

    @abstractmethod
    def values(self, ranks: Ranks) -> Values:
        """One value per case."""

    def of_question(self, mean: Values, relevant: Values) -> Values:
        """``[question]``, of the mean over each question's right answers and how many these are; that mean itself."""
        return mean


class PreferenceMetric(Metric, ABC):
    """A number for a whole set of judged rows."""

    chance: ClassVar[float | None] = None
    """What guessing gets, where that does not depend on the rows."""
    needs_probabilities: ClassVar[bool] = False
    """True if it means something only for scores that are log-odds."""

    @abstractmethod
    def of(self, judged: Judged, weights: Values) -> Values:
        """``[resample]``, each user counting as often as ``weights [resample, user]`` says; NaN where undefined."""


class GainMetric(RankMetric):
    """A metric that pays by the positive's place; a subclass writes ``gain`` for one place and is done."""

    @abstractmethod
    def gain(self, place: Values) -> Values:
        """What each place (1 is best) pays, before the cut-off."""

    def values(self, ranks: Ranks) -> Values:
        """Mean gain over the places a tied positive may take; 0 below the cut-off and without an answer."""
        if not len(ranks.above):
            return np.zeros(0)
        gains = self.gain(np.arange(1, int(np.max(ranks.above + ranks.tied)) + 2, dtype=np.float64))
        if self.k is not None:
            gains[self.k :] = 0.0
        total = np.concatenate([[0.0], np.cumsum(gains)])
        mean = (total[ranks.above + ranks.tied + 1] - total[ranks.above]) / (ranks.tied + 1)
        return np.where(ranks.answered, mean, 0.0)
