"""The one seam to language models: score continuations, generate text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from tastemaker.errors import PromptError
from tastemaker.prompts.prompt import Prompt
from tastemaker.types import FloatArray


class LanguageModel(ABC):
    """A language model with two verbs. `local` adds slots and gradients; `fake` is scripted, for tests.

    Both verbs take many prompts and answer in their order; the answer to one prompt does not depend on the others
    in the batch. The same call gives the same answer. `PromptError` means the question was wrong (lists that do
    not match, slots without their vectors, no room), `LanguageModelError` that this model cannot answer it.
    What every model must keep to is written as tests in `tastemaker.testing.llm`; inherit them for a new one.
    """

    @abstractmethod
    def score(self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[Prompt]]) -> list[FloatArray]:
        """For each prompt, the log-probability (natural, summed over tokens) of each of its continuations.

        One float32 array per prompt, aligned with its continuations and empty if it has none; never above zero.
        Sums favour short continuations: end each with the same closing text (a line break) so that stopping is
        scored too, and divide by length where a method asks for it.
        """

    @abstractmethod
    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        choices: Sequence[Sequence[Prompt]] | None = None,
        max_new_tokens: int = 64,
        stop: str = "\n",
    ) -> list[str]:
        """Greedy text per prompt, cut before ``stop``; with ``choices``, exactly one of that prompt's choices.

        A choice comes back as its own text, ``choice.text(slots="drop")``, and is never cut. Without ``choices``
        the text may be anything at all: read it with `tastemaker.prompts.parse`, and never use it unread.
        """


def aligned(prompts: Sequence[Prompt], lists: Sequence[Sequence[Prompt]], what: str) -> None:
    """Nothing, if there is one list of ``what`` (continuations, choices) for each prompt; else `PromptError`."""
    if len(prompts) != len(lists):
        raise PromptError(f"{len(prompts)} prompts with {len(lists)} lists of {what}; give one list for each prompt")
