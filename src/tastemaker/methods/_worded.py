"""Questions in words -> log-odds of the answer right after each, and what tuning minimises.

The target stands last in every prompt, so that all a user is asked about shares one reading of the history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tastemaker.llm import scoring
from tastemaker.llm.encoding import Encoded
from tastemaker.llm.local import LocalLM
from tastemaker.llm.slots import SlotFiller
from tastemaker.prompts.prompt import Prompt
from tastemaker.tuning.stages import Stage
from tastemaker.types import FloatArray, Item, Progress, Query

CHUNK = 32
"""Users whose prompts are laid out at once."""


@dataclass(frozen=True)
class Wording:
    """How a question is put."""

    prompt: Callable[[Query, int], Prompt]
    """What comes before the target; the number is the query's place in its batch."""
    target: Callable[[Query, Item], Prompt]
    """The item asked about and all that follows, up to the answer."""
    filler: Callable[[Sequence[Query]], SlotFiller | None] = lambda queries: None
    """What fills the slots of a batch."""


def score(
    lm: LocalLM, tokens: tuple[int, int], queries: Sequence[Query], wording: Wording, *, raw: bool, progress: Progress
) -> list[FloatArray]:
    """One array per query, aligned with its candidates: Yes less No, or with ``raw`` the logit of Yes alone."""
    found: list[FloatArray] = []
    for start in range(0, len(queries), CHUNK):
        some = [fitted(lm, query, wording) for query in queries[start : start + CHUNK]]
        prompts = [lm.encode(wording.prompt(query, at)) for at, query in enumerate(some)]
        branches = [[lm.encode(wording.target(q, item), start=False) for item in q.candidates] for q in some]
        with lm.answering(wording.filler(some)):
            logits = scoring.branch_logits(lm, prompts, branches, tokens)
        found += [(one[:, 0] if raw else one[:, 0] - one[:, 1]).float().cpu().numpy() for one in logits]
        progress("scoring", start + len(some), len(queries))
    return found


def answer_loss(
    lm: LocalLM, tokens: tuple[int, int], queries: Sequence[Query], liked: Tensor, wording: Wording, *, raw: bool
) -> Tensor:
    """Cross-entropy of the label under the log-odds of the answer, or with ``raw`` under the logit of Yes alone."""
    lm.model.train()  # for the adapters' dropout
    asked, lm.filler = [fitted(lm, query, wording) for query in queries], None
    lm.filler = wording.filler(asked)
    logits = scoring.next_logits(lm, [_whole(lm, query, at, wording) for at, query in enumerate(asked)], tokens)
    odds = logits[:, 0] if raw else logits[:, 0] - logits[:, 1]
    return functional.binary_cross_entropy_with_logits(odds, liked.to(odds))


def prompt_loss(lm: LocalLM, texts: Sequence[tuple[Encoded, Encoded]]) -> Tensor:
    """Minus the mean log-probability of the tokens of the second of each pair, read after the first."""
    lm.model.train()
    found = scoring.log_probabilities(lm, [first for first, _ in texts], [[second] for _, second in texts])
    return -torch.cat(found).sum() / sum(len(second) for _, second in texts)


def whole(lm: LocalLM, query: Query, wording: Wording) -> Encoded:
    """The prompt of the query's only candidate, up to the answer."""
    return _whole(lm, fitted(lm, query, wording), 0, wording)


def fitted(lm: LocalLM, query: Query, wording: Wording) -> Query:
    """The query with as much of the newest history as the model has room for; the template is never cut."""
    while query.history and lm.context is not None:
        longest = max((lm.length(wording.target(query, item)) for item in query.candidates), default=0)
        if lm.length(wording.prompt(query, 0)) + longest < lm.context:
            break
        cut = max(1, len(query.history) // 8)
        query = replace(query, history=query.history[cut:], likes=query.likes[cut:])
    return query


def row_batches(n: int, size: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Row numbers in random groups of ``size``."""
    order = rng.permutation(n).tolist()
    yield from (order[start : start + size] for start in range(0, n, size))


@dataclass(frozen=True)
class SawTooth(Stage):
    """The released CoLLM's learning rate: its warm-up counts the steps of an epoch, and epochs are short."""

    per_epoch: int = 50
    warm: int = 200

    def rate(self, step: int) -> float:
        """Four ramps to a quarter of the peak, then the peak; its cosine hardly moves before training stops."""
        return 0.01 + 0.99 * (step % self.per_epoch) / self.warm if step < self.warm else 1.0


def _whole(lm: LocalLM, query: Query, at: int, wording: Wording) -> Encoded:
    return lm.encode(wording.prompt(query, at)) + lm.encode(wording.target(query, query.candidates[0]), start=False)
