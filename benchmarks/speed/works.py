"""The same users and texts -> seconds of our engine and of the naive recipes, in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from benchmarks import naive, prompts
from benchmarks.speed.duel import Duel, duel, timed
from tastemaker.llm import adapters, scoring
from tastemaker.llm.local import LocalLM
from tastemaker.prompts.prompt import Prompt

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NAIVE_SHARE = 4
"""The naive yes/no recipe is timed on one in so many of the users, and counted so many times: its cost is linear."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One piece of work in both ways."""

    name: str
    unit: str
    amount: int
    """Of the unit, in each go."""
    duel: Duel


def choosing(lm: LocalLM, other: naive.Loaded, shelf: prompts.Shelf, users: int, rounds: int) -> list[Measured]:
    """Pick 1 of 20: every title scored, and one letter read, against 64 tokens written."""
    asked = prompts.choices(shelf, users)

    def theirs() -> float:
        return naive.choose(other, [one.prompt for one in asked], [one.titles for one in asked]).seconds

    return [
        Measured("1 of 20, titles scored", "users", users, duel(lambda: timed(titles(lm, asked)), theirs, rounds)),
        Measured("1 of 20, letters", "users", users, duel(lambda: timed(letters(lm, asked)), theirs, rounds)),
    ]


def titles(lm: LocalLM, asked: Sequence[prompts.Choice]) -> Callable[[], object]:
    """Score every candidate's title after the prompt."""
    return lambda: lm.score(
        [Prompt.of(one.prompt) for one in asked], [[Prompt.of(text) for text in one.answers] for one in asked]
    )


def letters(lm: LocalLM, asked: Sequence[prompts.Choice]) -> Callable[[], object]:
    """Read the letter of the best candidate where the answer begins."""
    ids = [lm.encode(Prompt.of(f" {letter}"), start=False).ids[0] for letter in LETTERS]

    def ask() -> object:
        texts = []
        for one in asked:
            listed = "".join(f"\n{letter}. {title}" for letter, title in zip(LETTERS, one.titles, strict=False))
            watched = ", ".join(one.history)
            texts.append(f"This user has watched {watched}.\nWhich movie comes next?{listed}\nAnswer:")
        return lm.next_logits([Prompt.of(text) for text in texts], ids[: len(asked[0].titles)])

    return ask


def liking(lm: LocalLM, other: naive.Loaded, shelf: prompts.Shelf, users: int, rounds: int) -> list[Measured]:
    """Yes or no for 50 targets a user, by the papers' template and by our own, against a pass for each pair."""
    asked = prompts.likings(shelf, users)
    few = asked[: max(1, users // NAIVE_SHARE)]

    def theirs() -> float:
        texts = [text for one in few for text in one.prompts]
        return naive.ask(other, texts).seconds * len(asked) / len(few)

    pairs = sum(len(one.targets) for one in asked)
    return [
        Measured(
            f"yes/no, {name} template", "pairs", pairs, duel(lambda one=work: timed(one(lm, asked)), theirs, rounds)
        )
        for name, work in (("the papers'", papers), ("default", default))
    ]


def papers(lm: LocalLM, asked: Sequence[prompts.Liking]) -> Callable[[], object]:
    """The papers' question: each target's clause asks it anew."""
    return lambda: _yes_no(lm, [one.shared for one in asked], [one.clauses for one in asked])


def default(lm: LocalLM, asked: Sequence[prompts.Liking]) -> Callable[[], object]:
    """The question once, then a line for each target: what a target costs is its title."""
    before = "Would this user like each of these movies? Yes or No.\nThe user liked: "
    shared = [f"{before}{', '.join(one.history)}." for one in asked]
    return lambda: _yes_no(lm, shared, [[f"\n{title}:" for title in one.targets] for one in asked])


def _yes_no(lm: LocalLM, shared: Sequence[str], clauses: Sequence[Sequence[str]]) -> object:
    ids = [lm.encode(Prompt.of(answer), start=False).ids[0] for answer in (" Yes", " No")]
    heads = [lm.encode(Prompt.of(text)) for text in shared]
    branches = [[lm.encode(Prompt.of(text), start=False) for text in several] for several in clauses]
    with lm.answering():
        return scoring.branch_logits(lm, heads, branches, ids)


class Tuning:
    """Our steps on examples of prompt and answer: the loss, the rate and the batches of `naive.Tuner`."""

    def __init__(self, lm: LocalLM, *, learning_rate: float = 2e-4) -> None:
        self.lm = lm
        generator = torch.Generator().manual_seed(0)
        self.trained = adapters.attach(lm, r=8, alpha=16.0, generator=generator)
        self.optimizer = torch.optim.AdamW(self.trained, lr=learning_rate, weight_decay=0.0)
        lm.model.train()

    def __call__(self, examples: Sequence[tuple[str, str]]) -> list[float]:
        """One pass over the examples; the loss of each step."""
        step = naive.BATCH
        return [self._step(examples[start : start + step]) for start in range(0, len(examples), step)]

    def _step(self, examples: Sequence[tuple[str, str]]) -> float:
        heads = [self.lm.encode(Prompt.of(prompt)) for prompt, _ in examples]
        answers = [[self.lm.encode(Prompt.of(answer), start=False)] for _, answer in examples]
        total = -torch.cat(scoring.log_probabilities(self.lm, heads, answers)).sum()
        loss = total / sum(len(answer) for (answer,) in answers)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        return float(loss.detach())


def tuning(
    lm: LocalLM, other: naive.Loaded, shelf: prompts.Shelf, users: int, rounds: int
) -> tuple[Measured, list[tuple[float, float]]]:
    """LoRA on the same batches of eight, and both losses of every step. Changes both models."""
    examples = [one.example for one in prompts.choices(shelf, users)]
    ours, theirs = Tuning(lm), naive.Tuner(other)
    losses: list[tuple[float, float]] = []
    seen: list[list[float]] = []

    def our_turn() -> float:
        return timed(lambda: seen.append(ours(examples)))

    def their_turn() -> float:
        told = theirs(examples)
        losses.extend(zip(seen[-1], told.losses, strict=True))
        return told.seconds

    return Measured("tuning", "samples", users, duel(our_turn, their_turn, rounds)), losses
