"""The MovieLens-100K questions TALLRec released, prompts and id files side by side -> PreferenceSplit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.preference import Judgement, PreferenceSplit
from tastemaker.data.readers._cells import Cell, Seconds, Text, Whole, WholeId
from tastemaker.data.readers._movielens import year
from tastemaker.data.readers._rows import csv_rows, refuse, typed
from tastemaker.data.readers._tallrec import Asked, find_part, read_asked
from tastemaker.data.readers.base import SplitReader, find
from tastemaker.errors import DataError
from tastemaker.types import Query

PARTS = ("train", "valid", "test")
CELLS: tuple[Cell, ...] = (
    WholeId("user_id"), Text("history_movie_id"), Text("history_rating"), WholeId("movie_id"), Whole("rating", 0, 1),
    Seconds("timestamp"),
)  # fmt: skip
Seen = list[tuple[str, int]]


class TALLRecMovie(SplitReader):
    """8,000 / 1,000 / 1,000 yes/no questions on films, each with ten films shown. For research; cite its paper.

    The prompts tell the titles, the id files who asks, when, and in which order things were rated.
    """

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with ``test.json`` and ``baseline_test.csv``."""
        return (path / "test.json").is_file() and (path / "baseline_test.csv").is_file()

    def read_split(self, path: Path, **options: Any) -> PreferenceSplit:
        """The split in the folder ``path``, rows as released; films have the ids of MovieLens-100K."""
        titles: dict[str, str] = {}
        rows = {part: _rows(path, part, titles) for part in PARTS}
        ratings: dict[tuple[str, str], int] = {}
        for of_part in rows.values():
            for user_id, seen, item_id, label, _ in of_part:
                ratings |= {(user_id, shown): rating for shown, rating in seen} | {(user_id, item_id): label}
        frame = pl.DataFrame(
            [(user_id, item_id, label) for (user_id, item_id), label in ratings.items()],
            schema=["user_id", "item_id", "rating"],
            orient="row",
        )
        items = pl.DataFrame(sorted(titles.items(), key=lambda one: int(one[0])), ["item_id", "title"], orient="row")
        note = "Ratings are 1 for films rated 4 or 5 and 0 for the others; interactions are in order, without times."
        data = Dataset.from_frames(frame, items.with_columns(year()), name="tallrec-movie", notes=[note], **options)
        parts = (_judgements(data, rows[part]) for part in PARTS)
        return PreferenceSplit(data, "tallrec-released", {"min_rating": 4, "window": 10}, *parts)


def _rows(folder: Path, part: str, titles: dict[str, str]) -> list[tuple[str, Seen, str, int, int]]:
    """User, films shown, film asked about, label and time of each row; ``titles`` learns what films are called."""
    prompts, file = find_part(folder, part), find(folder, f"baseline_{part}.csv")
    asked, found = read_asked(prompts), _table(file)
    if len(asked) != found.height:
        raise DataError(f"has {found.height:,} rows where {prompts.name} has {len(asked):,}", file)
    rows = []
    for at, (prompt, row) in enumerate(zip(asked, found.iter_rows(), strict=True), start=1):
        line, user_id, shown, said, item_id, label, time = row
        seen = list(zip(_listed(file, line, shown), _listed(file, line, said), strict=True))
        told = _titled(prompt, seen, item_id, label)
        if told is None or any(titles.setdefault(one, title) != title for one, title in told.items()):
            raise DataError(f"does not say what row {at} of {prompts.name} says", file, line)
        rows.append((user_id, seen, item_id, label, time))
    return rows


def _table(file: Path) -> pl.DataFrame:
    rows = csv_rows(file, ",")
    columns = [cell.column for cell in CELLS]
    line, header = next(rows, (1, "is empty"))
    if header != columns:
        raise DataError(f"does not begin with the columns {', '.join(columns)}", file, line)
    return typed(file, rows, columns, CELLS, refuse)


def _listed(file: Path, line: int, text: str) -> list[Any]:
    """The Python list in the cell, of texts or of whole numbers."""
    try:
        found = json.loads(text.replace("'", '"'))
        if type(found) is list and all((isinstance(one, str) and one.isdigit()) or one in (0, 1) for one in found):
            return found
    except (ValueError, RecursionError):
        pass
    raise DataError(f"{text[:40]!r} is not a list of ids or ratings", file, line)


def _titled(prompt: Asked, seen: Seen, item_id: str, label: int) -> dict[str, str] | None:
    """The titles by id, if the prompt is of that row."""
    liked = [shown for shown, rating in seen if rating]
    disliked = [shown for shown, rating in seen if not rating]
    if (len(liked), len(disliked), bool(label)) != (len(prompt.liked), len(prompt.disliked), prompt.answer):
        return None
    return dict(zip([*liked, *disliked, item_id], [*prompt.liked, *prompt.disliked, prompt.target], strict=True))


def _judgements(data: Dataset, rows: list[tuple[str, Seen, str, int, int]]) -> tuple[Judgement, ...]:
    numbers = {item_id: at for at, item_id in enumerate(data.items["item_id"])}
    users = {user_id: at for at, user_id in enumerate(data.users["user_id"])}
    found = []
    for user_id, seen, item_id, label, time in rows:
        history, likes = tuple(numbers[shown] for shown, _ in seen), tuple(bool(rating) for _, rating in seen)
        query = Query(history, (numbers[item_id],), users[user_id], float(time), likes=likes)  # type: ignore[arg-type]
        found.append(Judgement(query, bool(label)))
    return tuple(found)
