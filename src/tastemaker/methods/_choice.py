"""LLaRA as its paper reads: one prompt with history and candidates, answered with the title of one candidate.

What still differs from the released code, in ``mode="faithful"`` too: the end of the prompt is followed by the answer
itself, not by a second beginning-of-text token; when asked, the wording follows from the history instead of being
drawn anew, and the cosine begins where the warm-up ends; validation picks among parameters by the share of questions
in which the right title scores highest, on lists that stay the same; and a step without a hybrid batch still moves
the projector by what its gradients were before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tastemaker.data.split import Split
from tastemaker.errors import UsageError
from tastemaker.llm import scoring
from tastemaker.llm.encoding import Encoded
from tastemaker.llm.projector import Projector
from tastemaker.methods._tuned import sampled
from tastemaker.prompts.parse import parse_substring
from tastemaker.prompts.prompt import ItemSlot, Part, Prompt, joined
from tastemaker.tuning.stages import Group, Stage
from tastemaker.types import BoolArray, FloatArray, IntArray, Item, Progress, Query, quiet

if TYPE_CHECKING:
    from tastemaker.methods.llara import LLaRA


class Question(NamedTuple):
    """One training example: what to ask, and which of the candidates is right."""

    query: Query
    answer: int
    template: int


class Lot(NamedTuple):
    """A micro-batch before its candidates are drawn: an epoch has thousands, most of which wait for long."""

    places: list[tuple[int, int]]
    """Whose sequence, and where in it."""
    template: int
    seed: int


class ChoiceReading:
    """Scores each candidate by the log-probability of its title and a line break after the prompt."""

    def __init__(self, method: LLaRA, texts: FloatArray | None) -> None:
        """``texts`` is for the other reading; here titles stand in the prompt."""
        self.method = method
        rms = method.llm.embedding_rms
        self.projector = Projector(
            method.collab.item_vectors,
            method.llm.hidden_size,
            scale=rms if method.config.matched else None,
            rms=rms,
            generator=torch.Generator().manual_seed(method.seed),
        ).to(method.llm.device)

    @staticmethod
    def texts_of(method: LLaRA) -> FloatArray | None:
        """None: see `TimelineReading.texts_of`."""
        return None

    def modules(self) -> dict[str, torch.nn.Module]:
        """What trains beside the adapters."""
        return {"projector": self.projector}

    def stages(self, split: Split, adapters: Group) -> list[Stage]:
        """One stage over (history, 20 candidates) -> title; the curriculum decides batch by batch what slots hold."""
        config, method = self.method.config, self.method
        places = [(u, k) for u, s in enumerate(split.sequences) for k in range(config.least_history, len(s))]
        rows = config.batch_rows

        def epoch(rng: np.random.Generator) -> list[Lot]:
            order = rng.permutation(len(places))
            parts = [[places[i] for i in order[start : start + rows]] for start in range(0, len(order), rows)]
            templates = rng.integers(len(method.templates), size=len(parts)).tolist()
            seeds = rng.integers(2**32, size=len(parts)).tolist()
            return [Lot(*lot) for lot in zip(parts, templates, seeds, strict=True)]

        def loss(lot: Lot, share: float) -> Tensor:
            self.projector.hybrid = method.hybrid(share)
            return self._loss(self.drawn(split.sequences, lot))

        faithful = config.mode == "faithful"
        whole = round(len(places) * config.epochs / rows / config.per_step)
        sample = sampled(split.valid, config.validate_cases)
        drawn = [
            self._question([*c.query.history, c.positive], -1, np.random.default_rng(i)) for i, c in enumerate(sample)
        ]
        return [
            Stage(
                name=f"choice-{config.content}",
                steps=whole if config.max_steps is None else min(whole, config.max_steps),
                epoch=epoch,
                loss=loss,
                groups={
                    "adapters": adapters,
                    "projector": Group(dict(self.projector.named_parameters()), config.learning_rate, 1e-5),
                },
                accumulate=config.accumulate,
                betas=(0.9, 0.999) if faithful else (0.9, 0.98),
                decoupled=not faithful,
                clip=None if faithful else 1.0,
                validate=(lambda: self._accuracy(drawn)) if drawn else None,
                validate_every=config.validate_every,
                facts=method.facts(split),
            )
        ]

    def drawn(self, sequences: Sequence[IntArray], lot: Lot) -> list[Question]:
        """The lot's questions with their candidates, always the same."""
        rng = np.random.default_rng(lot.seed)
        return [self._question(sequences[u], k, rng, lot.template) for u, k in lot.places]

    @torch.no_grad()
    def score(self, queries: Sequence[Query], progress: Progress = quiet) -> list[FloatArray]:
        """One array per query, aligned with its candidates: log p(title and line break | prompt)."""
        if not all(query.candidates for query in queries):
            raise UsageError('reading="choice" asks among candidates and cannot show the whole catalogue; give some')
        found: list[FloatArray] = []
        with self.method.llm.answering(self._filler()):
            for start in range(0, len(queries), 32):
                some = queries[start : start + 32]
                prompts = [self.method.llm.encode(self.prompt(query)) for query in some]
                branches = [[self._answer(item) for item in query.candidates] for query in some]
                found += [s.cpu().numpy() for s in scoring.log_probabilities(self.method.llm, prompts, branches)]
                progress("scoring", start + len(some), len(queries))
        return found

    def generate(self, queries: Sequence[Query]) -> tuple[list[FloatArray], BoolArray]:
        """The released way: greedy text, read by substring. One-hot scores (all NaN: no answer) and what was valid."""
        lm = self.method.llm
        lm.filler = self._filler()
        texts = lm.generate([self.prompt(query) for query in queries], max_new_tokens=64)
        scores, valid = [], []
        for query, text in zip(queries, texts, strict=True):
            index = parse_substring(text, [self.method.title(item) for item in query.candidates]).index
            one = np.full(len(query.candidates), np.nan if index is None else 0.0, dtype=np.float32)
            if index is not None:
                one[index] = 1.0
            scores.append(one)
            valid.append(index is not None)
        return scores, np.array(valid)

    def prompt(self, query: Query, template: int | None = None) -> Prompt:
        """The hybrid prompt: each item's title and slot, in history and candidates (LLaRA, section 3.3).

        Unless given, the template follows from the history, so that a query is asked the same way in any company.
        """
        read, templates = query.history[-self.method.config.history :], self.method.templates
        chosen = templates[sum(read) % len(templates) if template is None else template]
        before, between, after = chosen.split("|")
        history = joined([self._item(i) for i in read], ", ")
        candidates = joined([self._item(i) for i in query.candidates], ", ")
        return Prompt.of(before + " ", history, between + " ", candidates, after)

    def _item(self, item: Item) -> Prompt:
        content = self.method.config.content
        text: tuple[Part, ...] = () if content == "behaviour" else (self.method.item_part(item), " ")
        return Prompt.of(*text, ItemSlot(item))

    def _answer(self, item: Item) -> Encoded:
        return self.method.llm.encode(Prompt.of(" ", self.method.item_part(item), "\n"), start=False)

    def _loss(self, batch: list[Question]) -> Tensor:
        """Minus the mean log-probability of an answer token; the prompt is not learned (equation 6)."""
        lm = self.method.llm
        lm.filler = self.projector
        lm.model.train()  # for the adapters' dropout
        answers = [self._answer(q.query.candidates[q.answer]) for q in batch]
        prompts = [lm.encode(self.prompt(q.query, q.template)) for q in batch]
        found = scoring.log_probabilities(lm, prompts, [[answer] for answer in answers])
        return -torch.cat(found).sum() / sum(map(len, answers))

    def _question(
        self, items: Sequence[int] | np.ndarray[Any, Any], at: int, rng: np.random.Generator, template: int = 0
    ) -> Question:
        """The item at a place of a sequence among 19 uniform others that are not in the window shown."""
        config = self.method.config
        at = at % len(items)
        window = [Item(int(i)) for i in items[max(0, at - config.history) : at]]
        barred, others = {*window, int(items[at])}, list[Item]()
        if self.method.catalogue.n_items - len(barred) < config.candidates - 1:
            n_items = self.method.catalogue.n_items
            raise UsageError(
                f"a catalogue of {n_items} items is too small for candidates={config.candidates}; lower it"
            )
        while len(others) < config.candidates - 1:
            drawn = int(rng.integers(self.method.catalogue.n_items))
            if drawn not in barred:
                barred.add(drawn)
                others.append(Item(drawn))
        place = int(rng.integers(config.candidates))
        shown = (*others[:place], Item(int(items[at])), *others[place:])
        return Question(Query(tuple(window), shown), place, template)

    def _accuracy(self, questions: Sequence[Question]) -> float:
        scores = self.score([q.query for q in questions])
        return float(np.mean([s.argmax() == q.answer for s, q in zip(scores, questions, strict=True)]))

    def _filler(self) -> Projector:
        self.projector.hybrid = self.method.shows_vectors
        return self.projector
