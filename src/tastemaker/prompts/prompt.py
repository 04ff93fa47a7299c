"""Typed parts -> Prompt: our wording, foreign text and vector slots, never one string with magic tokens."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tastemaker.errors import PromptError
from tastemaker.prompts.clean import LIMIT, clean
from tastemaker.types import Item as ItemNumber
from tastemaker.types import User as UserNumber


@dataclass(frozen=True, slots=True)
class Item:
    """An item's text (title, attributes): foreign text, cleaned the moment it becomes a part."""

    item: ItemNumber
    text: str

    def __post_init__(self) -> None:
        """Clean, so that an uncleaned `Item` cannot exist."""
        object.__setattr__(self, "text", clean(self.text))


@dataclass(frozen=True, slots=True)
class Quoted:
    """Any other foreign text: what a user typed, a review, a name. Cleaned, and cut at ``limit`` characters."""

    text: str
    limit: int = LIMIT

    def __post_init__(self) -> None:
        """Clean, so that an uncleaned `Quoted` cannot exist."""
        object.__setattr__(self, "text", clean(self.text, self.limit))


@dataclass(frozen=True, slots=True)
class ItemSlot:
    """One position filled with the item's vector."""

    item: ItemNumber


@dataclass(frozen=True, slots=True)
class UserSlot:
    """One position filled with the user's vector."""

    user: UserNumber


Slot: TypeAlias = ItemSlot | UserSlot
Part: TypeAlias = str | Item | Quoted | Slot


@dataclass(frozen=True, slots=True)
class Prompt:
    """A sequence of parts. A plain ``str`` is our wording and is trusted; everything else is not.

    Foreign text never makes, moves or removes a part: where titles and slots stand is decided by who writes the prompt.
    """

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        """Refuse anything that is not a part, where it enters rather than where it is tokenised."""
        for position, part in enumerate(self.parts):
            if not isinstance(part, Part):
                raise PromptError(f"part {position} of a prompt is a {type(part).__name__}; wrap it in Item or Quoted")

    @classmethod
    def of(cls, *parts: Part | Prompt) -> Prompt:
        """A prompt of these parts in order; the parts of a prompt among them take its place."""
        return cls(tuple(one for part in parts for one in (part.parts if isinstance(part, Prompt) else (part,))))

    def __add__(self, other: Part | Prompt) -> Prompt:
        """This prompt, then the other."""
        return Prompt.of(self, other)

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slots in order: what the vectors given with this prompt must match, one by one."""
        return tuple(part for part in self.parts if isinstance(part, Slot))

    def without_slots(self) -> Prompt:
        """The text-only form: the same parts without the slots, nothing else tidied."""
        return Prompt(tuple(part for part in self.parts if not isinstance(part, Slot)))

    def text(self, *, slots: Literal["refuse", "drop"] = "refuse") -> str:
        """The prompt as one plain string, for models that take nothing else.

        Raises `PromptError` if it has slots, unless they are to be dropped: a vector cannot be put into words.
        """
        if slots == "refuse" and self.slots:
            raise PromptError(f"{len(self.slots)} slots cannot be written as text; use without_slots()")
        written = (part for part in self.parts if not isinstance(part, Slot))
        return "".join(part if isinstance(part, str) else part.text for part in written)


def joined(parts: Iterable[Part | Prompt], separator: str) -> Prompt:
    """The parts with our ``separator`` between each two."""
    separated: list[Part | Prompt] = []
    for part in parts:
        separated += [separator, part] if separated else [part]
    return Prompt.of(*separated)


def fit(
    head: Prompt,
    history: Sequence[Prompt | Sequence[Part]],
    tail: Prompt,
    *,
    measure: Callable[[Prompt], int],
    budget: int,
    separator: str = "",
) -> Prompt:
    """``head``, as much of the history as the budget leaves room for, and ``tail``.

    ``history`` holds groups of parts that belong together (a title, its slot), oldest first, with ``separator``
    between them; whole groups go, the oldest first. Template, candidates and answer belong into ``head`` and
    ``tail``, which are never cut. ``measure`` gives a prompt's length, in tokens as a rule.
    Raises `PromptError` if head and tail alone are too long.
    """
    groups = [group if isinstance(group, Prompt) else Prompt.of(*group) for group in history]

    def without_oldest(n: int) -> Prompt:
        return Prompt.of(head, joined(groups[n:], separator), tail)

    def fits(n: int) -> bool:
        return measure(without_oldest(n)) <= budget

    cut = 0 if fits(0) else bisect_left(range(len(groups) + 1), True, lo=1, key=fits)
    if cut > len(groups):
        raise PromptError(
            f"without any history the prompt still takes {measure(without_oldest(len(groups)))} of {budget}; "
            "show fewer candidates, shorten the wording or choose a model with a longer context"
        )
    return without_oldest(cut)
