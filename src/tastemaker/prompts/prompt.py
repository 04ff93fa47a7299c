"""Typed parts -> Prompt: our wording, foreign text and vector slots, never one string with magic tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tastemaker.types import Item as ItemNumber
from tastemaker.types import User as UserNumber


@dataclass(frozen=True, slots=True)
class Item:
    """An item's text (title, attributes): foreign text, cleaned before it is tokenised."""

    item: ItemNumber
    text: str


@dataclass(frozen=True, slots=True)
class Quoted:
    """Any other foreign text: what a user typed, a review, a name."""

    text: str


@dataclass(frozen=True, slots=True)
class ItemSlot:
    """One position filled with the item's vector."""

    item: ItemNumber


@dataclass(frozen=True, slots=True)
class UserSlot:
    """One position filled with the user's vector."""

    user: UserNumber


Part: TypeAlias = str | Item | Quoted | ItemSlot | UserSlot


@dataclass(frozen=True, slots=True)
class Prompt:
    """A sequence of parts. A plain ``str`` is our wording and is trusted; everything else is not."""

    parts: tuple[Part, ...]
