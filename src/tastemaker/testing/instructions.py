"""A catalogue -> requests whose right answers are known from its columns alone, and how a conversation follows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median_low
from typing import Any

import numpy as np
import polars as pl

from tastemaker.serve.chat.dialogue import Dialogue, Done, Items
from tastemaker.serve.chat.engine import Engine

Row = Mapping[str, Any]
Check = Callable[[Row, Sequence[Row]], bool]
"""Whether an item of the last list is right, given the list after the first turn."""
KINDS = ("genre", "decade", "not", "like", "refine", "undo")


@dataclass(frozen=True, slots=True)
class Instruction:
    """Turns of a person, and what the list after the last of them must keep to."""

    kind: str
    turns: tuple[str, ...]
    check: Check


@dataclass(slots=True)
class Followed:
    """How instructions were followed."""

    shown: int = 0
    right: int = 0
    foreign: int = 0
    """Items shown that no catalogue has."""
    possible: int = 0
    """Instructions for which a full list exists, and of those ..."""
    full: int = 0
    """... how many got one."""
    wrong: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    """Turns and the id of each item that was not right."""

    @property
    def satisfaction(self) -> float:
        """The share of items shown that keep to what was asked."""
        return self.right / max(1, self.shown)


def instructions(items: pl.DataFrame, n: int = 200, *, seed: int = 0, column: str = "genres") -> list[Instruction]:
    """``n`` of them, of all kinds in turn, from ``column`` (lists of words) and ``year``."""
    rng, rows = np.random.default_rng(seed), items.to_dicts()
    make = _Maker(rows, column, rng)
    return [getattr(make, f"{KINDS[i % len(KINDS)]}_request")() for i in range(n)]


def follow(engine: Engine, asked: Sequence[Instruction], users: Sequence[str | None]) -> Followed:
    """Each instruction in a dialogue of its own, by the users in turn."""
    told = Followed()
    catalogue = engine.main.catalogue
    rows = {row["item_id"]: row for row in catalogue.items.iter_rows(named=True)}
    for number, one in enumerate(asked):
        dialogue = Dialogue(id=str(number), user_id=users[number % len(users)])
        lists: list[list[str]] = []
        for turn in one.turns:
            for event in engine.reply(dialogue, turn):
                if isinstance(event, Items):
                    lists.append([card.item_id for card in event.cards])
                elif isinstance(event, Done):
                    dialogue = event.dialogue
        first, last = ([rows[i] for i in found if i in rows] for found in (lists[0], lists[-1]))
        told.foreign += sum(item_id not in rows for item_id in lists[-1])
        told.shown += len(lists[-1])
        bad = [row["item_id"] for row in last if not one.check(row, first)]
        told.right += len(last) - len(bad)
        told.wrong += [(one.turns, item_id) for item_id in bad]
        seen = set() if dialogue.user_id is None else _seen(engine, dialogue.user_id)
        could = sum(one.check(row, first) for item_id, row in rows.items() if item_id not in seen)
        told.possible += could >= engine.settings.n
        told.full += could >= engine.settings.n and len(lists[-1]) == engine.settings.n
    return told


class _Maker:
    """Draws requests of each kind."""

    def __init__(self, rows: Sequence[Row], column: str, rng: np.random.Generator) -> None:
        self.rows, self.column, self.rng = rows, column, rng
        counts = Counter(value for row in rows for value in row[column] or ())
        self.values = sorted(value for value, count in counts.items() if count >= 20 and value != "unknown")
        decades = Counter(int(row["year"]) // 10 * 10 for row in rows if row["year"])
        self.decades = sorted(decade for decade, count in decades.items() if count >= 20)
        titles = Counter(row["title"] for row in rows)
        plain = [row for row in rows if titles[row["title"]] == 1 and row[column] and '"' not in row["title"]]
        self.named = [row for row in plain if row["title"].isascii() and len(row["title"]) > 8]

    def genre_request(self) -> Instruction:
        value = self._one(self.values)
        words = self._one(["Recommend me a {} film", "I feel like {} tonight", "any good {} movies?"])
        return Instruction("genre", (words.format(value.lower()),), lambda row, _: self._has(row, value))

    def decade_request(self) -> Instruction:
        decade = self._one(self.decades)
        said = self._one([f"the {decade}s", f"the {decade % 100}s"] if decade % 100 else [f"the {decade}s"])
        words = self._one(["something from {}", "recommend films made in {}", "I want a movie of {}"])
        return Instruction("decade", (words.format(said),), lambda row, _: self._from(row, decade))

    def not_request(self) -> Instruction:
        value = self._one(self.values)
        words = self._one(["Recommend something, but not {}", "a film without {} please", "anything but {}"])
        return Instruction("not", (words.format(value.lower()),), lambda row, _: not self._has(row, value))

    def like_request(self) -> Instruction:
        row = self._one(self.named)
        words = self._one(['something like "{}"', 'I want a film similar to "{}"'])
        return Instruction("like", (words.format(row["title"]),), lambda other, _: self._near(other, row))

    def refine_request(self) -> Instruction:
        value, decade, no = self._one(self.values), self._one(self.decades), self._one(self.values)
        first = f"recommend a {value.lower()} film"
        then: dict[str, Check] = {
            "older": lambda row, shown: row["year"] < _median(shown),
            "something newer please": lambda row, shown: row["year"] > _median(shown),
            f"only from the {decade}s": lambda row, _: self._from(row, decade),
        }
        if no != value:
            then[f"and no {no.lower()}"] = lambda row, _: not self._has(row, no)
        said = self._one(list(then))
        return Instruction("refine", (first, said), lambda row, shown: self._has(row, value) and then[said](row, shown))

    def undo_request(self) -> Instruction:
        value, decade = self._one(self.values), self._one(self.decades)
        turns = (f"recommend a {value.lower()} film", f"from the {decade}s", "undo")
        return Instruction("undo", turns, lambda row, shown: row["item_id"] in [one["item_id"] for one in shown])

    def _has(self, row: Row, value: str) -> bool:
        return value in (row[self.column] or ())

    def _near(self, row: Row, other: Row) -> bool:
        return row["item_id"] != other["item_id"] and bool({*(row[self.column] or ())} & {*other[self.column]})

    def _from(self, row: Row, decade: int) -> bool:
        return bool(row["year"]) and decade <= row["year"] < decade + 10

    def _one(self, several: Sequence[Any]) -> Any:
        return several[int(self.rng.integers(len(several)))]


def _median(shown: Sequence[Row]) -> float:
    """The year that half of the list is not beyond; nothing is older or newer than an empty list."""
    years = [row["year"] for row in shown if row["year"]]
    return median_low(years) if years else float("nan")


def _seen(engine: Engine, user: str) -> set[str]:
    ids = engine.main.catalogue.items["item_id"]
    return {ids[i] for i in engine.main.recommender.query(user=user).history}
