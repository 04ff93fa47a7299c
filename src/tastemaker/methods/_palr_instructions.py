"""PALR as its paper reads: prompts that show history and candidates, answered with titles or a label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tastemaker.data.split import Split
from tastemaker.errors import ConfigError, PromptError
from tastemaker.llm import scoring
from tastemaker.llm.base import LanguageModel
from tastemaker.llm.encoding import Encoded
from tastemaker.llm.local import LocalLM
from tastemaker.methods._palr_lists import LETTERS, TITLE_TOKENS, Lister, Rates
from tastemaker.methods._palr_prompts import Wording, room
from tastemaker.methods._palr_tasks import LIST, Example, Tasks, chosen_users
from tastemaker.prompts.prompt import Item as ItemText
from tastemaker.prompts.prompt import Prompt
from tastemaker.tuning.stages import Group, Stage
from tastemaker.types import FloatArray, Item, Progress, Query

if TYPE_CHECKING:
    from tastemaker.methods.palr import PALR


class Instructions:
    """Tunes on `Tasks`, ranks by a `Lister`."""

    def __init__(self, method: PALR) -> None:
        config, lm = method.config, method.lm
        self.method = method
        measure, _ = room(lm, config.prompt_tokens, 0)
        lengths = [measure(Prompt.of('"', ItemText(Item(i), name), "\n")) for i, name in enumerate(method.names)]
        # Training answers with as many titles as an example has, whatever is asked for later.
        answer = max(TITLE_TOKENS, *lengths) * max(config.list_length, LIST)
        measure, budget = room(lm, config.prompt_tokens, answer)
        self.wording = Wording(method.names, config.domain, measure, budget)
        self.lister = Lister(
            lm,
            self.wording,
            config.decode,  # type: ignore[arg-type]
            n=config.list_length,
            window=config.window,
            permutations=config.permutations,
            history=config.history,
            labels=_labels(lm),
        )
        self._require_room(np.argsort(lengths)[-2:].tolist())

    @property
    def rates(self) -> Rates:
        """See `Lister.rates`."""
        return self.lister.rates

    def modules(self) -> dict[str, torch.nn.Module]:
        """What trains beside the adapters: nothing."""
        return {}

    def score(
        self,
        queries: Sequence[Query],
        words: Sequence[tuple[str, ...]],
        retrieved: Sequence[FloatArray],
        progress: Progress,
    ) -> list[FloatArray]:
        """See `Lister.score`."""
        return self.lister.score(queries, words, retrieved, progress)

    def stages(self, split: Split, adapters: Group) -> list[Stage]:
        """One stage over the instruction data of the chosen users; the loss is on the answer alone."""
        config, method = self.method.config, self.method
        shown = max(self.lister.most, 2 * LIST)  # `asked` shows what fits
        tasks = Tasks(split, method.keywords.table, history=config.history, n=shown, tasks=config.tasks)
        users = chosen_users(len(split.sequences), config.user_share, method.seed)
        rows = config.batch_rows

        def epoch(rng: np.random.Generator) -> list[list[Example]]:
            examples = list(tasks.epoch(users, rng))
            return [examples[i : i + rows] for i in range(0, len(examples), rows)]

        able = sum(len(split.sequences[user]) >= 2 for user in users)
        whole = round(-(-able * len(config.tasks) // rows) * config.epochs / config.per_step)
        return [
            Stage(
                name=f"instructions-{config.decode}",
                steps=whole if config.max_steps is None else min(whole, config.max_steps),
                epoch=epoch,
                loss=lambda batch, share: self._loss(batch),
                groups={"adapters": adapters},
                accumulate=config.accumulate,
                average=config.average,
                facts=method.facts(split),
            )
        ]

    def asked(self, example: Example) -> tuple[Prompt, Prompt]:
        """An example as shown and answered: no more candidates than surely fit, and at most half of them right."""
        words = self.method.counted(example.history)
        shown = example.candidates
        if shown:
            right, size = set(example.answer), self.wording.window(shown, self.lister.most, words)
            first = example.answer[: size // 2]
            kept = {*first, *[i for i in shown if i not in right][: size - len(first)]}
            shown = tuple(item for item in shown if item in kept)
        answer = [item for item in example.answer if not shown or item in shown]
        if self.lister.decode == "letters" and shown:
            labels = self.lister.labels[: len(shown)]
            prompt = self.wording.ask(example.history, shown, 1, profile=words, labels=labels)
            return prompt, Prompt.of(labels[shown.index(answer[0])])
        return self.wording.ask(example.history, shown, len(answer), profile=words), self.wording.answer(answer)

    def _loss(self, batch: list[Example]) -> Tensor:
        """Minus the mean log-probability of an answer token."""
        lm = self.method.llm
        lm.model.train()  # for the adapters' dropout
        pairs = [self.asked(example) for example in batch]
        answers: list[Encoded] = [lm.encode(answer, start=False) for _, answer in pairs]
        found = scoring.log_probabilities(lm, [lm.encode(prompt) for prompt, _ in pairs], [[a] for a in answers])
        return -torch.cat(found).sum() / sum(map(len, answers))

    def _require_room(self, longest: Sequence[int]) -> None:
        """Nothing, if the two longest titles fit side by side, as whoever is offered them would find out."""
        config, words = self.method.config, sorted(self.method.keywords.words, key=len)
        query = Query((), tuple(map(Item, longest)))
        try:
            self.lister.prompt(query, tuple(words[-config.keywords :]) if config.profile != "none" else ())
        except PromptError as error:
            told = str(error).partition(";")[0]
            raise ConfigError(
                f"palr: two titles and a profile do not fit into one prompt beside an answer ({told}); "
                f"lower title_limit, raise prompt_tokens (it is {config.prompt_tokens}) or take a language model with "
                "a longer context"
            ) from error


def _labels(lm: LanguageModel) -> str:
    """The letters that are one token each, and no two the same, where the vocabulary is known."""
    if not isinstance(lm, LocalLM):
        return LETTERS
    spelled = {letter: lm.encode(Prompt.of(letter), start=False).ids for letter in LETTERS}
    owners: dict[int, str] = {}
    for letter, ids in spelled.items():
        if len(ids) == 1 and ids[0] not in lm.encode.unknown:
            owners.setdefault(ids[0], letter)
    return "".join(owners.values())
