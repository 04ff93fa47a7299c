"""chatrec-reasons: two thousand reasons -> how many say what is not so, by a checker that knows only the two tables."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks import chatrec_shop
from benchmarks.chatrec_results import write
from benchmarks.kept import RUNS, Asked
from tastemaker.serve.chat.dialogue import Dialogue, Done, Items, Token
from tastemaker.serve.chat.engine import Engine

N = 2_000
USERS = 200
ASKED = ("recommend something", "a comedy please", "something from the 1980s", "anything but drama")
WHY = "why the second one?"
_MARK = re.compile("\x00(\\d+)\x00")
_YEAR = re.compile(r"\b(\d+)(s?)\b")
_COUNT = re.compile(r"shares (.+) with (\d+) of the latest (\d+)")
Film = Mapping[str, Any]


class Independent:
    """Reads a sentence against the catalogue's rows; shares nothing with the code that wrote it."""

    def __init__(self, rows: Sequence[Film]) -> None:
        self.genres = sorted({genre for row in rows for genre in row["genres"] or ()}, key=len, reverse=True)

    def wrong(self, told: str, item: Film, history: Sequence[Film]) -> tuple[list[str], list[str]]:
        """Titles that are neither the item's nor of the history, and attributes that not all films named with have.

        Each clause speaks of the films quoted in it, or, where it says "they", of those quoted before; and of the item.
        """
        marked, films = _marked(told, (item, *history))
        titles, false, before = [], [], list[Film]()
        for clause in re.split(r"[.;:](?:\s|$)", marked):
            named = [films[int(number)] for number in _MARK.findall(clause)]
            about = [item, *named, *(before if re.search(r"\bthey\b", clause) else [])]
            rest = _MARK.sub(" ", clause)
            if counted := _COUNT.search(rest):
                what, n, of = counted.groups()
                false += [] if sum(_has(row, what) for row in history[-int(of) :]) == int(n) else [counted[0]]
                rest = what
            titles += [rest] * ('"' in rest)
            false += self._false(rest, about)
            before = named or before
        return titles, false

    def _false(self, rest: str, about: Sequence[Film]) -> list[str]:
        false = []
        for genre in self.genres:
            cut = re.sub(rf"(?<![\w-]){re.escape(genre)}(?![\w-])", " ", rest)
            if cut != rest:
                rest = cut
                false += [genre] * (not all(genre in (row["genres"] or ()) for row in about))
        for number, decade in _YEAR.findall(rest):
            years = [int(row["year"] or 0) for row in about]
            false += [number] * (not all((year // 10 * 10 if decade else year) == int(number) for year in years))
        return false


def measure(name: str, asked: Asked) -> list[Path]:
    """One row: of so many reasons, how many are true."""
    started = time.monotonic()
    engine = chatrec_shop.engine(RUNS / "chatrec" / "catalogue")
    data = engine.main.recommender.data
    films = data.items.to_dicts()
    checker, place = Independent(films), {row["item_id"]: row for row in films}
    titles, false, checked = [], [], 0
    users = chatrec_shop.drawn_users(data, USERS)
    for user, item_id, sentence in islice(_reasons(engine, users), N):
        history = [films[i] for i in engine.main.recommender.query(user=user).history]
        strange, untrue = checker.wrong(sentence, place[item_id], history)
        titles += [sentence] * bool(strange)
        false += [sentence] * bool(untrue)
        checked += 1
    row = chatrec_shop.row(
        "reasons and explanations",
        "conversation",
        false_attributes=(len(false), checked),
        strange_titles=(len(titles), checked),
    )
    remarks = [
        "Every quoted title must be the item's or of the user's history; every genre, decade and year outside "
        "quotation marks must be true of the item and of each film in its clause. Effects on "
        "scores are not checked here.",
        *(f"Wrong: {sentence}" for sentence in [*titles, *false][:5]),
    ]
    return [
        write(
            name,
            "reasons",
            data,
            claim=name,
            asked=asked,
            n=checked,
            rows=(row,),
            metrics=("false_attributes", "strange_titles"),
            describes=f"{USERS} users in turn, {len(ASKED)} ways to ask; lists' reasons and answers to why",
            remarks=tuple(remarks),
            seconds=round(time.monotonic() - started, 1),
        )
    ]


def _reasons(engine: Engine, users: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """User, item and what was said of it, in dialogues that go through all there is to ask."""
    for number, user in enumerate(cycle(users)):
        dialogue = Dialogue(id=str(number), user_id=user)
        for text in (ASKED[number // len(users) % len(ASKED)], WHY):
            said: list[str] = []
            for event in engine.reply(dialogue, text):
                if isinstance(event, Token):
                    said.append(event.text)
                elif isinstance(event, Items):
                    yield from ((user, card.item_id, card.reason) for card in event.cards)
                    if text == WHY:
                        yield from ((user, card.item_id, "".join(said)) for card in event.cards[:1])
                elif isinstance(event, Done):
                    dialogue = event.dialogue


def _has(row: Film, what: str) -> bool:
    """Whether a film has the genre, or is of the decade such as ``1990s``."""
    return what in (row["genres"] or ()) or what == f"{int(row['year'] or 0) // 10 * 10}s"


def _marked(told: str, films: Sequence[Film]) -> tuple[str, list[Film]]:
    """The text with a mark for each quoted title of these films, the longest first, and the film of each mark."""
    found: list[Film] = []
    for row in sorted(films, key=lambda row: -len(row["title"])):
        quoted = f'"{" ".join(row["title"].split())}"'
        if quoted in told:
            told = told.replace(quoted, f"\x00{len(found)}\x00")
            found.append(row)
    return told, found
