"""BinLLM (Zhang et al., 2024): collaborative knowledge as codes that are written out, so no vectors are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from torch import nn

from tastemaker.data.preference import PreferenceSplit
from tastemaker.errors import NotFittedError, UsageError
from tastemaker.methods._encoded import RELEASED, EncodedConfig, EncodedMethod
from tastemaker.methods._preference import PreferenceConfig
from tastemaker.methods._questions import ALL, FEATURE, LEVERAGE, QuestionReading
from tastemaker.methods._worded import Wording
from tastemaker.prompts.prompt import Prompt
from tastemaker.tuning.stages import Group, Stage
from tastemaker.types import FloatArray, Item, Progress, Query


class BinLLMConfig(EncodedConfig):
    """Settings of BinLLM. ``mode="faithful"`` changes the defaults to the paper's; what is given stays as given."""

    FAITHFUL: ClassVar[dict[str, Any]] = RELEASED

    form: Literal["dotted", "bits"] = "dotted"
    """How a code is written: eight bits a number, as addresses on the internet are, or one figure a bit."""
    code_learning_rate: float = Field(1e-4, gt=0)
    """Of the adapters in the second stage, which reads codes."""


class BinLLM(EncodedMethod):
    """A language model told what collaborative filtering knows, as codes among the words.

    ``BinLLM(llm="smollm2-135m", collab=hashed_mf).tune(split).score(queries)``. ``collab`` is a fitted
    `PointwiseModel` with vectors, of which the signs are told: `HashedMF` learns vectors that are nothing else. Tuning
    reads titles alone first, then codes too; who or what the encoder never saw has none. ``method.asked(query)`` is
    text alone, for language models that are only served. With ``fusion`` the score is that of CoLLM's.
    """

    Config: ClassVar[type[PreferenceConfig]] = BinLLMConfig
    config: BinLLMConfig
    kind: ClassVar[str] = "binllm"
    usual: ClassVar[str] = "hashed-mf"
    reading: CodeReading

    def asked(self, query: Query) -> list[Prompt]:
        """The whole question, one prompt for each candidate. Raises `NotFittedError` before tune() or load()."""
        if not hasattr(self, "reading"):
            raise NotFittedError("BinLLM asks nothing before tune() or load()")
        wording, query = self.reading.wording(shown=self.shown), self.known(query)
        alone = [replace(query, candidates=(item,)) for item in query.candidates]  # DIN's code depends on what is asked
        return [wording.prompt(one, 0) + wording.target(one, one.candidates[0]) for one in alone]

    def _prepare(self, split: PreferenceSplit, progress: Progress) -> PreferenceSplit:
        split = super()._prepare(split, progress)
        size = self.collab.item_vectors.shape[1]
        if self.config.form == "dotted" and size % 8:
            raise UsageError(f"codes of {size} bits make no whole bytes; take a multiple of 8, or form=bits")
        return split

    def _ways(self) -> tuple[bool, ...]:
        return (True, False) if self.config.gate else (True,)

    def _reading(self) -> CodeReading:
        return CodeReading(self)


class CodeReading(QuestionReading):
    """Who asks, and what is asked about, as the code of each."""

    method: BinLLM

    def __init__(self, method: BinLLM) -> None:
        super().__init__(method)
        self._known = method.encoder.known_items
        self._items = method.encoder.item_vectors

    def modules(self) -> dict[str, nn.Module]:
        """Nothing trains but adapters."""
        return {}

    def stages(self, split: PreferenceSplit, adapters: Group) -> list[Stage]:
        """Titles alone, then codes too."""
        language = replace(adapters, weight_decay=1e-3)
        slower = replace(language, learning_rate=self.method.config.code_learning_rate)
        return [
            self.stage(split, "text", {"adapters": language}, shown=False),
            self.stage(split, "codes", {"adapters": slower}, shown=True),
        ]

    def wording(self, *, shown: bool) -> Wording:
        """CoLLM's prompt, a code where it has a slot."""
        return Wording(self._told_prompt, self._told_target) if shown else self.plain

    def _told_prompt(self, query: Query, at: int) -> Prompt:
        if not self.method.encoder.knows([query])[0]:
            return Prompt.of(self.liked(query), LEVERAGE, self.titled)
        (vector,) = self.method.encoder.user_vectors([query])
        return Prompt.of(self.liked(query), FEATURE, self._written(vector), ALL, self.titled)

    def _told_target(self, query: Query, item: Item) -> Prompt:
        clause = (" with the feature ", self._written(self._items[item])) if self._known[item] else ()
        return Prompt.of(' "', self.method.title(item), '"', *clause, self.end)

    def _written(self, vector: FloatArray) -> str:
        return (dotted if self.method.config.form == "dotted" else bits)(vector)


def bits(vector: FloatArray | Sequence[float]) -> str:
    """One figure a column: 1 where it is above zero."""
    return "".join("1" if value > 0 else "0" for value in np.asarray(vector))


def dotted(vector: FloatArray | Sequence[float]) -> str:
    """The same as numbers of eight bits each, the highest bit first: 32 columns are written as 172.16.254.1 is."""
    written = bits(vector)
    return ".".join(str(int(written[at : at + 8], 2)) for at in range(0, len(written), 8))
