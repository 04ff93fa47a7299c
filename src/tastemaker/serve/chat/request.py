"""What a person asks for, in types: the one thing that comes out of understanding words."""

from __future__ import annotations

from dataclasses import dataclass, field

from tastemaker.serve.chat.dialogue import Filter, Intent


@dataclass(slots=True)
class Request:
    """One turn of a person, understood."""

    intent: Intent = "recommend"
    filters: list[Filter] = field(default_factory=list)
    """Constraints it adds."""
    likes: list[str] = field(default_factory=list)
    dislikes: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)
    """Items that the list should be like."""
    wish: str = ""
    """What is left of the words: for search."""
    target: str | None = None
    """The item a question is about."""
    domain: str | None = None
    """The catalogue that is asked for by name, if one is."""
    fresh: bool = False
    """Whether it begins anew: earlier constraints and wishes go."""
    adds: bool = False
    """Whether its values come beside earlier ones of the same column, not in their place."""
    reset: bool = False
    """Whether likes and dislikes go as well."""
    more: bool = False
    """Whether what was shown before should not come again."""
    rating: bool = False
    """Whether it asks for a rating of the target."""
    notes: list[str] = field(default_factory=list)
    """What the catalogue cannot answer, one sentence each."""
    unsure: bool = False
    """Whether no rule knew any of the words."""
