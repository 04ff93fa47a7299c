"""History, profile, dialogue, wish and candidates -> the one prompt of Chat-REC, within a budget of tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tastemaker.llm.base import LanguageModel
from tastemaker.prompts.prompt import Item, Part, Prompt, Quoted, fit, joined

BUDGET = 1_536
"""Tokens of a prompt where the model does not say what it can hold."""
_CHARACTERS = 3  # a token of a model whose tokenizer is not at hand, reckoned short


@dataclass(frozen=True, slots=True)
class Scene:
    """What the prompt tells; everything in it is foreign text, and every part may be missing."""

    history: Sequence[Item] = ()
    """Oldest first, titles with what is to be said of them."""
    candidates: Sequence[Item] = ()
    profile: Mapping[str, str] = field(default_factory=dict)
    said: Sequence[tuple[str, str]] = ()
    """Who and what, oldest first: the dialogue so far."""
    wish: str = ""
    hint: Item | None = None
    """The candidate to be named first: the retriever's own first choice."""
    noun: str = "film"


def ranking_prompt(scene: Scene, lm: LanguageModel, *, answer: int) -> Prompt:
    """A prompt whose best continuation is the title that suits best; the history's oldest go if room is short.

    ``answer`` is how many tokens are left free for it. Raises `PromptError` if even without history there is no room.
    """
    noun = scene.noun
    head = Prompt.of(
        f"I want you to recommend {noun}s to a user based on some personal information and historical records.\n",
        _profile(scene),
        "The historical records hold what the user chose, oldest first. Learn the user's preference from them: ",
    )
    tail = Prompt.of(
        ".\n",
        _said(scene),
        *(() if not scene.wish else ("The user says: ", Quoted(scene.wish, 500), "\n")),
        f"Here is a list of {noun}s that the user is likely to like: ",
        joined(scene.candidates, "; "),
        f".\nSelect the {noun} in the list that is most likely to be liked.",
        *(() if scene.hint is None else (f" The first {noun} to be selected is ", scene.hint, ".")),
        f" Only output the {noun} name.",
    )
    return bounded(head, [Prompt.of(one) for one in scene.history], tail, lm, answer=answer)


def bounded(head: Prompt, history: Sequence[Prompt], tail: Prompt, lm: LanguageModel, *, answer: int) -> Prompt:
    """The three as one turn of a chat that leaves room for the answer."""
    length = getattr(lm, "length", lambda prompt: 1 + len(prompt.text(slots="drop")) // _CHARACTERS)
    budget = min(getattr(lm, "context", None) or BUDGET, BUDGET) - answer
    return lm.asked(
        fit(head, history, tail, measure=lambda prompt: length(lm.asked(prompt)), budget=budget, separator="; ")
    )


def _profile(scene: Scene) -> Prompt:
    if not scene.profile:
        return Prompt(())
    parts: list[Part] = ["User profile: "]
    for name, value in scene.profile.items():
        parts += [Quoted(name, 40), " ", Quoted(value, 80), ", "]
    return Prompt.of(*parts[:-1], ".\n")


def _said(scene: Scene) -> Prompt:
    parts: list[Part] = []
    for who, text in scene.said:
        parts += ["The user said: " if who == "user" else "You said: ", Quoted(text, 300), "\n"]
    return Prompt.of(*parts)
