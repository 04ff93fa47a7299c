"""PALR's default reading: history as a timeline, asked for what comes next before and after the profile is told.

One causal pass answers both: the states up to the last item cannot see the profile, which stands behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tastemaker.llm.encoding import Encoded
from tastemaker.methods._palr_tasks import chosen_users
from tastemaker.methods._timeline import TimelineReading
from tastemaker.prompts.prompt import Prompt, Quoted, joined
from tastemaker.tuning.timeline import Timeline
from tastemaker.types import FloatArray, IntArray, Query

if TYPE_CHECKING:
    from tastemaker.methods.palr import PALR

Told = Callable[[Sequence[int]], tuple[str, ...]]
"""A history -> the words of its profile."""


class ProfiledReading(TimelineReading):
    """Scores the catalogue at the last item and once more at the end of the profile."""

    def __init__(self, method: PALR, texts: FloatArray | None) -> None:
        super().__init__(method, texts)
        self._palr = method

    def chosen(self, sequences: Sequence[IntArray]) -> Sequence[IntArray]:
        """The sequences of the users that are tuned on."""
        users = chosen_users(len(sequences), self._palr.config.user_share, self._palr.seed)
        return [sequences[user] for user in users]

    def timelines(self, sequences: Sequence[IntArray], rng: np.random.Generator) -> Iterator[Timeline]:
        """Each timeline with the profile of what came before its last question; counted, never written."""
        for one in self.packer.timelines(sequences, rng):
            yield one.told(self.tail(self._palr.counted(one.past.tolist())))

    def asked(self, query: Query) -> tuple[Encoded, list[int]]:
        """The timeline, the profile, and the positions before and behind it."""
        encoded, (last,) = super().asked(query)
        whole = encoded + self.tail(self._palr.words(query))
        return whole, [last, len(whole) - 1]

    def tail(self, words: Sequence[str]) -> Encoded:
        """The profile as what goes on behind a timeline; nothing where there is none."""
        if not words:
            return Encoded([], [])
        told = joined([Quoted(word) for word in words], ", ")
        return self._palr.llm.encode(Prompt.of(" This user prefers ", told, ". Next:"), start=False)
