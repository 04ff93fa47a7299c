"""What a language model writes -> the sentences of it that may be shown, as they come."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from tastemaker.prompts.clean import clean
from tastemaker.serve.chat.claims import Checker, Row

_END = re.compile(r"[.!?](?=\s|$)")
_NAME = re.compile(r"(?<=[\w,;:] )[A-Z][\w-]*")
LONGEST = 240
"""Characters of a sentence; one that does not end is not shown."""


def sentences(
    pieces: Iterator[str], checker: Checker, items: Sequence[Row], *, most: int, cancelled: Callable[[], bool]
) -> Iterator[str]:
    """Whole sentences that say nothing untrue of the items, ``most`` of them; the first that fails is the end."""
    waiting, told = "", 0
    for piece in pieces:
        if cancelled():
            return
        waiting += piece
        while (end := _END.search(waiting)) is not None and end.end() < len(waiting):
            sentence, waiting = clean(waiting[: end.end()], LONGEST + 1), waiting[end.end() :]
            if not allowed(sentence, checker, items):
                return
            yield sentence
            told += 1
            if told == most:
                return
        if len(waiting) > 4 * LONGEST:
            return
    last = clean(waiting, LONGEST + 1)
    if last and _END.search(last) and allowed(last, checker, items):
        yield last


def allowed(sentence: str, checker: Checker, items: Sequence[Row]) -> bool:
    """Whether a sentence of a language model may be shown: short, true, and without names that nobody gave it."""
    if not sentence or len(sentence) > LONGEST or checker.wrong(sentence, items):
        return False
    rest = sentence
    for row in items:
        rest = rest.replace(f'"{clean(str(row.get("title") or ""))}"', "it")
    named = {word for value in checker.held(items) for word in re.findall(r"\w+", value)}
    return all(name == "I" or name.casefold() in named for name in _NAME.findall(rest))
