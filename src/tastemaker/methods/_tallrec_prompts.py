"""TALLRec's prompts and both of its stages: instructions, then titles liked and disliked with an answer in one word.

What still differs from the released code, in ``mode="faithful"`` too: the learning rate falls along a cosine; the
score is Yes less No, where the code takes a softmax of a softmax; and validation reads the answer where it is given,
not every third place in which one of the two words occurs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from tastemaker import processes
from tastemaker.data.instructions import Instruction, read_instructions
from tastemaker.data.preference import PreferenceSplit, labels
from tastemaker.llm.encoding import Encoded
from tastemaker.methods import _worded
from tastemaker.methods._worded import Wording
from tastemaker.prompts.prompt import Item as ItemText
from tastemaker.prompts.prompt import Prompt, Quoted, joined
from tastemaker.tuning.answered import said
from tastemaker.tuning.stages import Group, Stage
from tastemaker.types import FloatArray, Item, Progress, Query, quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tastemaker.methods.tallrec import TALLRec

PREAMBLE = (
    "Below is an instruction that describes a task{}. Write a response that appropriately completes the request.{}\n\n"
)
"""Alpaca's. The released code's own has a linter's remark at its end, by mistake."""
BESIDE = ", paired with an input that provides further context"
REMARK = "  # noqa: E501"
LONGEST = 4096
"""Characters of an instruction's texts that are read."""


class InstructReading:
    """Log-odds of Yes against No after a prompt in words."""

    def __init__(self, method: TALLRec) -> None:
        self.method = method
        self.wording = Wording(self._prompt, self._target)

    def modules(self) -> dict[str, nn.Module]:
        """Nothing trains but adapters."""
        return {}

    def stages(self, split: PreferenceSplit, adapters: Group) -> list[Stage]:
        """Instructions, if there are any, then answers."""
        path = self.method.config.instructions
        first = [] if path is None else [self._instructing(read_instructions(Path(path)), split, adapters)]
        return [*first, self._answering(split, adapters)]

    def score(self, queries: Sequence[Query], *, shown: bool, progress: Progress = quiet) -> list[FloatArray]:
        """One array per query, aligned with its candidates."""
        return _worded.score(self.method.llm, self.method.tokens, queries, self.wording, raw=False, progress=progress)

    def _answering(self, split: PreferenceSplit, adapters: Group) -> Stage:
        method, config, lm = self.method, self.method.config, self.method.llm
        queries, liked = [method.known(row.query) for row in split.train], labels(split.train)
        wanted = torch.from_numpy(liked.astype(np.float32))

        def epoch(rng: np.random.Generator) -> list[list[int]]:
            return list(_worded.row_batches(len(queries), config.batch_rows, rng))

        def loss(rows: list[int], share: float) -> Tensor:
            asked = [queries[row] for row in rows]
            if not config.prompt_loss:
                return _worded.answer_loss(lm, method.tokens, asked, wanted[rows], self.wording, raw=False)
            return _worded.prompt_loss(lm, [self._learned(queries[row], liked=bool(liked[row])) for row in rows])

        per_epoch = -(-len(queries) // config.batch_rows)
        sample = method.sample(split.valid)
        what = {"epoch": epoch, "loss": loss, "groups": {"adapters": adapters}, **self._grouped(len(queries))}
        return method.stage("answers", split, per_epoch, sample, True, **what, **self._betas)

    def _instructing(self, found: list[Instruction], split: PreferenceSplit, adapters: Group) -> Stage:
        config, lm = self.method.config, self.method.llm

        def epoch(rng: np.random.Generator) -> list[list[int]]:
            return list(_worded.row_batches(len(found), config.batch_rows, rng))

        def loss(rows: list[int], share: float) -> Tensor:
            return _worded.prompt_loss(lm, [self._instructed(found[row]) for row in rows])

        what: dict[str, Any] = {"epoch": epoch, "loss": loss, "groups": {"adapters": adapters}}
        steps = max(1, round(len(found) * config.instruction_epochs / config.batch_rows / config.per_step))
        what["steps"] = steps if config.max_steps is None else min(steps, config.max_steps)
        return self.method.stage("instructions", split, 0, [], True, **what, **self._betas)

    @property
    def _betas(self) -> dict[str, Any]:
        """Those of the released code's optimiser."""
        return {"betas": (0.9, 0.999)} if self.method.config.mode == "faithful" else {}

    def _grouped(self, n: int) -> dict[str, int]:
        """With fewer rows than a step takes, a step is an epoch."""
        per_epoch = -(-n // self.method.config.batch_rows) // processes.count()
        return {"accumulate": max(1, min(self.method.config.accumulate, per_epoch))}

    def _instructed(self, one: Instruction) -> tuple[Encoded, Encoded]:
        """What is read, and what is learned: the answer and an end, or all of it but the first token."""
        lm, given = self.method.llm, Quoted(one.input, LONGEST) if one.input.strip() else None
        asked = self._alpaca(Prompt.of(Quoted(one.instruction, LONGEST)), None if given is None else Prompt.of(given))
        return self._parted(lm.encode(asked), lm.encode(Prompt.of(Quoted(one.output, LONGEST)), start=False))

    def _learned(self, query: Query, *, liked: bool) -> tuple[Encoded, Encoded]:
        answer = self.method.config.answers[0 if liked else 1]
        lm = self.method.llm
        return self._parted(_worded.whole(lm, query, self.wording), lm.encode(Prompt.of(answer), start=False))

    def _parted(self, asked: Encoded, answer: Encoded) -> tuple[Encoded, Encoded]:
        end = self.method.llm.tokenizer.eos_token_id
        answer = answer if end is None else answer + Encoded([end], [])
        if not self.method.config.prompt_loss:
            return asked, answer
        everything = asked + answer
        return Encoded(everything.ids[:1], []), Encoded(everything.ids[1:], [])

    def _alpaca(self, instruction: Prompt, given: Prompt | None) -> Prompt:
        remark = REMARK if self.method.config.mode == "faithful" else ""
        before = PREAMBLE.format("" if given is None else BESIDE, remark)
        beside = Prompt.of("\n\n### Input:\n", given) if given is not None else Prompt(())
        return Prompt.of(before, "### Instruction:\n", instruction, beside, "\n\n### Response:\n")

    def _prompt(self, query: Query, at: int) -> Prompt:
        """All that comes before the title asked about."""
        liked, disliked = (self._titles(query, liked=like) for like in (True, False))
        noun = self.method.config.domain
        if self.method.config.template == "short":
            nothing = Prompt.of("none")
            return Prompt.of(
                f"{noun.capitalize()}s a person liked: ", liked or nothing, "\nDisliked: ", disliked or nothing,
                f"\nWould this person like the {noun}",
            )  # fmt: skip
        task = (
            "Given the user's preference and unpreference, identify whether the user will like the target "
            f'{noun} by answering "Yes." or "No.".'
        )
        remark = REMARK if self.method.config.mode == "faithful" else ""
        return Prompt.of(
            PREAMBLE.format(BESIDE, remark), f"### Instruction:\n{task}\n\n### Input:\nUser Preference: ",
            liked or Prompt(()), "\nUser Unpreference: ", disliked or Prompt(()),
            f"\nWhether the user will like the target {noun}",
        )  # fmt: skip

    def _target(self, query: Query, item: Item) -> Prompt:
        if self.method.config.template == "short":
            return Prompt.of(" ", self._told(item), "? Yes or No:")
        return Prompt.of(' "', self._told(item), '"?\n\n### Response:\n')

    def _titles(self, query: Query, *, liked: bool) -> Prompt | None:
        shown = list(zip(query.history, said(query), strict=True))[-self.method.config.history :]
        titles = [self._told(item) for item, like in shown if like == liked]
        if self.method.config.template == "alpaca":
            return joined([Prompt.of('"', title, '"') for title in titles], ", ") if titles else None
        return joined([Prompt.of(title) for title in titles], "; ") if titles else None

    def _told(self, item: Item) -> ItemText:
        """The title and, with ``attributes``, genres."""
        return self.method.described(item) if self.method.config.attributes else self.method.title(item)
