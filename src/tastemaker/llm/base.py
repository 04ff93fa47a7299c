"""The one seam to language models: score continuations, generate text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from tastemaker.prompts.prompt import Prompt
from tastemaker.types import FloatArray


class LanguageModel(ABC):
    """A language model with two verbs. `local` adds slots and gradients; `fake` is scripted, for tests."""

    @abstractmethod
    def score(self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[Prompt]]) -> list[FloatArray]:
        """For each prompt, the log-probability (natural, summed over tokens) of each of its continuations."""

    @abstractmethod
    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        choices: Sequence[Sequence[Prompt]] | None = None,
        max_new_tokens: int = 64,
        stop: str = "\n",
    ) -> list[str]:
        """Greedy text per prompt, cut before ``stop``; with ``choices``, exactly one of that prompt's choices."""
