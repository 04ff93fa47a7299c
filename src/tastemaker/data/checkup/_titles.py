"""Items as they were read -> what is odd about their titles: none, shared, hidden characters, words put into many."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from tastemaker.data.checkup._finding import Finding, some

HIDDEN = r"[\p{C}--\s]|[\u034F\u115F\u1160\u17B4\u17B5\u3164\uFFA0\uFE00-\uFE0E\x{E0100}-\x{E01EF}]"
"""Characters that print nothing. U+FE0F, which makes a sign an emoji, is not among them."""
MOST_TITLES = 20_000
"""Titles that are searched for common words; of more, evenly spaced ones."""
COMMON_SHARE, COMMON_TITLES, USUAL_SHARE = 0.005, 8, 0.2
"""Words are in many titles if they are in this share of them, and in this number; in a larger share they are usual."""
PHRASE, LONGEST = 3, 8
"""Words from which on, and up to which, a sequence is noticed wherever it stands."""
SAME_END = 0.95
"""Fewer words are noticed if this share of their titles begins, or ends, with them."""
HABIT = 3
"""With more such phrases a catalogue has brands and sizes in its titles, and none of them tells anything."""
_YEAR = re.compile(r"\s*\((?:18|19|20)[0-9]{2}\)$")


def odd_titles(items: pl.DataFrame) -> Iterator[Finding]:
    """Everything odd about the titles of the items, of which each has one row."""
    if "title" not in items.columns or not (items["title"].str.strip_chars() != "").any():
        advice = "a language model knows items by what they are called: give a table of item_id and title"
        yield Finding("title", "odd", "no item has one", None, advice=advice)
        return
    title = pl.col("title").fill_null("").str.strip_chars()
    yield from some("odd", "title", items.filter(title == ""), "items without one", "they will go by their id")
    shared = items.filter((title != "") & title.is_duplicated())
    advice = "add what tells them apart, such as the year: by its title alone no model can choose one"
    yield from some("odd", "title", shared, "items whose title another item has too", advice)
    hidden = items.filter(title.str.contains(HIDDEN))
    advice = "they can carry words for a language model only; prompts leave them out, but take them out of the file"
    yield from some("odd", "title", hidden, "titles with characters that print nothing", advice)
    for phrase in planted(items.select(title).to_series().to_list()):
        words = title.str.to_lowercase().str.replace_all(r"\s+", " ")
        inside = items.filter(words.str.contains(rf"(^| ){pl.escape_regex(phrase)}( |$)"))
        told = f"titles with the same words {phrase!r}, where hardly any others are repeated"
        yield from some("odd", "title", inside, told, "if they are no name or form of yours, somebody put them there")


def planted(titles: Sequence[str]) -> list[str]:
    """Words, in small letters, that stand in many titles as if put there: a trigger, a slogan, or a harmless habit.

    They are three words or more in sequence, or any words that nearly always end or begin a title, years aside. A
    catalogue with more than `HABIT` of them repeats words by habit, and then nothing is told.
    """
    looked = [_words(title) for title in titles[:: max(1, len(titles) // MOST_TITLES)]]
    least = max(COMMON_TITLES, COMMON_SHARE * len(looked))
    anywhere, first, last = Counter[str](), Counter[str](), Counter[str]()
    for words in looked:
        anywhere.update(set(_phrases(words)))
        first.update(" ".join(words[:n]) for n in range(1, min(PHRASE, len(words)) + 1))
        last.update(" ".join(words[-n:]) for n in range(1, min(PHRASE, len(words)) + 1))
    found = set[str]()
    for phrase, count in anywhere.items():
        at_end = max(first[phrase], last[phrase]) >= SAME_END * count
        if least <= count <= USUAL_SHARE * len(looked) and (phrase.count(" ") >= PHRASE - 1 or at_end):
            found.add(phrase)
    inside = {phrase: set[int]() for phrase in sorted(found)}
    for number, words in enumerate(looked):
        for phrase in found.intersection(_phrases(words)):
            inside[phrase].add(number)
    told = _distinct(inside)
    return told if len(told) <= HABIT else []


def _distinct(inside: Mapping[str, set[int]]) -> list[str]:
    """Of phrases with the titles they are in: the longest of those in the same titles, none in some of these only."""
    told = dict[str, set[int]]()
    for phrase, titles in sorted(inside.items(), key=lambda pair: (-len(pair[1]), -len(pair[0]))):
        if not any(titles <= known for known in told.values()):
            told[phrase] = titles
    return list(told)


def _words(title: str) -> list[str]:
    return _YEAR.sub("", title.lower()).split()


def _phrases(words: list[str]) -> Iterator[str]:
    for start in range(len(words)):
        for stop in range(start + 1, min(start + LONGEST, len(words)) + 1):
            yield " ".join(words[start:stop])
