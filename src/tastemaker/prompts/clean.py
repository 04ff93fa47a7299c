"""Foreign text -> one harmless line: what every title, review and question passes through on its way into a prompt."""

from __future__ import annotations

import re
import unicodedata

LIMIT = 200
"""Characters kept of a piece of foreign text, unless said otherwise."""

# Characters that print nothing although Unicode files them under letters and marks: the combining grapheme joiner,
# Hangul and Khmer fillers, and the variation selectors, 256 of which can spell out a hidden message.
_FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
_INVISIBLE = frozenset(_FILLERS).union(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
_YEAR = re.compile(r" ?\([0-9]{4}\)(?: \(T?V\))?$")
_ARTICLE_LAST = re.compile(r"(?P<title>.+?), (?P<article>The|An|A)(?P<alternative> \(.*\))?$")


def clean(text: str, limit: int = LIMIT) -> str:
    """The text as one line of visible characters in NFC, at most ``limit`` of them.

    Every kind of blank, line breaks included, becomes a space, runs of spaces become one, and those at the ends go;
    control, format, private-use, surrogate, unassigned and invisible characters go. A mark never starts the result,
    where it would fuse with our own wording (``<`` and U+0338 are ``≮``), and is never cut from its letter.
    Defined for every string, and cleaning twice is cleaning once.

    Spellings stay as they are: ``<|im_end|>`` remains ten visible characters, and whoever tokenises foreign text
    must do so with special tokens switched off.
    """
    visible = unicodedata.normalize("NFC", "".join(map(_visible, text)))
    line = " ".join(visible.split())
    start = next((i for i, character in enumerate(line) if character != " " and not _joins(character)), len(line))
    return _cut(line[start:].rstrip(), limit)


def plain_title(title: str) -> str:
    """A MovieLens title as people say it: ``Usual Suspects, The (1995)`` is ``The Usual Suspects``.

    The year at the end goes, and an English article goes back to the front, also from before an alternative title
    in brackets. A title that is nothing but a year keeps it.
    """
    line = " ".join(title.split())
    named = _YEAR.sub("", line) or line
    found = _ARTICLE_LAST.fullmatch(named)
    return f"{found['article']} {found['title']}{found['alternative'] or ''}" if found else named


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    return "" if character in _INVISIBLE or unicodedata.category(character).startswith("C") else character


def _joins(character: str) -> bool:
    """Whether it belongs to the character before it: a mark or a skin tone."""
    return unicodedata.category(character).startswith("M") or "\U0001f3fb" <= character <= "\U0001f3ff"


def _cut(line: str, limit: int) -> str:
    end = max(limit, 0)
    if len(line) <= end:
        return line
    while end and _joins(line[end]):
        end -= 1
    # One letter with more marks than the limit has nowhere better to be cut than at the limit.
    return line[: end or max(limit, 0)].rstrip()
