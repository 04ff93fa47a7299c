"""A person's words and where the conversation stands -> a typed Request, by rules that need no language model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tastemaker.errors import LanguageModelError
from tastemaker.llm.base import LanguageModel
from tastemaker.prompts.prompt import Prompt, Quoted
from tastemaker.serve.chat import lexicon, wording
from tastemaker.serve.chat.dialogue import Dialogue, Intent
from tastemaker.serve.chat.request import Request
from tastemaker.serve.chat.schema import Schema
from tastemaker.serve.chat.vocabulary import Vocabulary

_QUOTED = re.compile(r'["“”«»]([^"“”«»]{1,120})["“”«»]')
_OPTIONS: dict[str, Intent] = {
    "wants recommendations": "recommend",
    "changes what was asked for": "refine",
    "asks why something was recommended": "explain",
    "asks about one item": "details",
    "chats": "small-talk",
}


@dataclass(frozen=True)
class Surroundings:
    """What words can refer to."""

    schemas: Mapping[str, Schema]
    """Of each catalogue by its name; likewise ..."""
    vocabularies: Mapping[str, Vocabulary]
    row: Callable[[str], Mapping[str, object]]
    """The attributes of an item shown, by id."""
    domains: Mapping[str, tuple[str, ...]]
    """Each catalogue's name and what its items are called, such as ``book`` and ``books``."""
    domain: str
    """The one the conversation is in."""


def understand(text: str, dialogue: Dialogue, around: Surroundings) -> Request:
    """What the text asks for; for any text whatever, never an exception."""
    words = lexicon.tokens(text)
    line = " ".join(words)
    request = Request()
    if lexicon.UNDO.search(line):
        request.intent = "undo"
        return request
    if lexicon.SMALL_TALK.search(line):
        request.intent = "small-talk"
        return request
    if (reset := lexicon.RESET.search(line)) is not None:
        request.fresh = request.reset = True
        words = line[reset.end() :].split()
        line = " ".join(words)
        if not any(word.isalnum() and word not in lexicon.STOP for word in words):
            return request
    request.domain = _domain(words, around)
    target = request.domain or around.domain
    vocabularies = sorted(around.vocabularies, key=lambda name: name != target)
    reading = wording.Reading(
        words, dialogue, around.schemas[target], [around.vocabularies[name] for name in vocabularies], around.row
    )
    for title in _QUOTED.findall(text):
        reading.quote(lexicon.key(title))
    if (question := _question(line, reading)) is not None and request.domain is None:
        return question
    reading.read(request)
    shown = bool(dialogue.shown or dialogue.filters or dialogue.wish)
    request.fresh = request.fresh or not shown or (bool(lexicon.REQUESTS.search(line)) and not reading.compares)
    request.more = shown and bool(lexicon.MORE.search(line))
    request.fresh = request.reset or (request.fresh and not request.more)
    request.adds = bool(lexicon.ADDS.search(line))
    request.intent = "recommend" if request.fresh else "refine"
    if request.domain is not None:
        request.intent = "other-domain"
    known = request.filters or request.anchors or request.likes or request.dislikes or request.seen or request.notes
    request.unsure = not (known or request.more or request.domain or lexicon.REQUESTS.search(line) or request.reset)
    return request


def choose(lm: LanguageModel, text: str) -> Intent:
    """What a language model takes the words for, out of a fixed list. Raises `LanguageModelError`."""
    asked = Prompt.of("Somebody who talks to a recommender says: ", Quoted(text), "\nThis person ")
    options = [Prompt.of(option) for option in _OPTIONS]
    (answer,) = lm.generate([lm.asked(asked)], choices=[options])
    if answer not in _OPTIONS:
        raise LanguageModelError("the language model chose something that was no choice")
    return _OPTIONS[answer]


def _question(line: str, reading: wording.Reading) -> Request | None:
    """A question about one item, if it is one and the item is known."""
    rating, why = bool(lexicon.RATING.search(line)), bool(lexicon.WHY.search(line))
    about = lexicon.ABOUT.match(line)
    subject = reading.subject(len(about[0].split())) if about else None
    if not (rating or why or subject or lexicon.DETAILS.search(line)):
        return None
    target = subject or reading.target()
    if target is None and not (rating or why):
        return None  # "what is a good comedy" is no question about an item
    return Request(intent="explain" if why else "details", target=target, rating=rating)


def _domain(words: Sequence[str], around: Surroundings) -> str | None:
    """The other catalogue that is named, unless this one's items are named before it."""
    for word in words:
        for name, nouns in sorted(around.domains.items(), key=lambda one: one[0] != around.domain):
            if word in nouns:
                return None if name == around.domain else name
    return None
