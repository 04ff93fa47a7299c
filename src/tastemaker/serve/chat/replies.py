"""What was found -> the words of a reply that are ours: fixed sentences around facts that were looked up."""

from __future__ import annotations

from collections.abc import Sequence

from tastemaker.prompts.clean import clean
from tastemaker.serve.chat.dialogue import Card, Dialogue
from tastemaker.serve.chat.filters import words

HELLO = (
    "I recommend from this catalogue. Say what you feel like, name something you liked, or say what you do not want; "
    'then say "older", "not that one", "why the second one?" or "undo".'
)
NOTHING_TO_UNDO = "There is nothing to undo."
WHICH = 'I do not know which one you mean; say "the second one", or its title in quotation marks.'
UNDONE = "That is taken back."


def listed(cards: Sequence[Card], dialogue: Dialogue, notes: Sequence[str], *, more: bool) -> str:
    """The sentence that goes before a list, and what could not be answered."""
    kept = words(dialogue.filters)
    if not cards:
        told = f"Nothing {'more ' if more else ''}in the catalogue fits{f': {kept}' if kept else ''}."
        return " ".join([*notes, told, "Take a constraint away, or say undo."])
    told = "Here is one" if len(cards) == 1 else f"Here are {len(cards)}"
    return " ".join([*notes, f"{told}{f': {kept}' if kept else ''}."])


def details(card: Card, facts: str, rating: float | None, best: float, above: float | None) -> str:
    """What the catalogue says of an item, and what somebody may think of it."""
    title = clean(card.title)
    only = f'The catalogue does not say more of "{title}" than its title.'
    told = [f'{facts} That is all the catalogue says of "{title}".' if facts else only]
    if rating is not None:
        told.append(f"I expect a rating of {rating:.1f} of {best:g} from you.")
    elif above is not None:
        told.append(f"It is above {above:.0%} of the catalogue for you.")
    return " ".join(told)
