"""The one seam to language models: score continuations, generate text, at once or as it comes."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

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

    concurrent: ClassVar[bool] = False
    """Whether several threads may ask it at once."""

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

    def stream(self, prompt: Prompt, *, max_new_tokens: int = 64, stop: str = "\n") -> Iterator[str]:
        """The text `generate` would give, in pieces as they come; to stop early, close the iterator."""
        (text,) = self.generate([prompt], max_new_tokens=max_new_tokens, stop=stop)
        yield from re.findall(r"\s*\S+|\s+", text)

    def asked(self, prompt: Prompt) -> Prompt:
        """The prompt as the turn of somebody who waits for an answer: in the model's own chat template, if any."""
        return prompt

    def generate_lists(
        self, prompts: Sequence[Prompt], choices: Sequence[Sequence[Prompt]], *, n: int, stop: str = "\n"
    ) -> list[list[int]]:
        """For each prompt, ``n`` different choices by their places (all, if there are fewer), as the model lists them.

        Each is written after those before it, ``stop`` between them. A list ends early only where a model breaks the
        promise of ``generate`` and answers with something that is no choice.
        """
        aligned(prompts, choices, "choices")
        lists: list[list[int]] = [[] for _ in prompts]
        going = list(range(len(prompts)))
        while going := [i for i in going if len(lists[i]) < min(n, len(choices[i]))]:
            left = [[place for place in range(len(choices[i])) if place not in lists[i]] for i in going]
            asked = [
                Prompt.of(prompts[i], *(part for place in lists[i] for part in (choices[i][place], stop)))
                for i in going
            ]
            several = [[choices[i][place] for place in places] for i, places in zip(going, left, strict=True)]
            texts = self.generate(asked, choices=several, stop=stop)
            named = [
                next((place for place in places if choices[i][place].text(slots="drop") == text), None)
                for i, places, text in zip(going, left, texts, strict=True)
            ]
            for i, place in zip(going, named, strict=True):
                lists[i] += [] if place is None else [place]
            going = [i for i, place in zip(going, named, strict=True) if place is not None]
        return lists


def aligned(prompts: Sequence[Prompt], lists: Sequence[Sequence[Prompt]], what: str) -> None:
    """Nothing, if there is one list of ``what`` (continuations, choices) for each prompt; else `PromptError`."""
    if len(prompts) != len(lists):
        raise PromptError(f"{len(prompts)} prompts with {len(lists)} lists of {what}; give one list for each prompt")
