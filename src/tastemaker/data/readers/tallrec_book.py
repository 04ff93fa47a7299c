"""The Book-Crossing questions TALLRec released as prompts -> PreferenceSplit, each prompt a user of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.preference import Judgement, PreferenceSplit
from tastemaker.data.readers._tallrec import Asked, find_part, read_asked
from tastemaker.data.readers.base import SplitReader
from tastemaker.types import Item, Query, User

PARTS = ("train", "valid", "test")
NOTE = "Books go by title and author, as no ids were released; what each user liked comes before what they did not."


class TALLRecBook(SplitReader):
    """Yes/no questions on books, one a user, with up to ten books shown."""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder named ``tallrec-book`` with ``test.json``."""
        return path.name == "tallrec-book" and (path / "test.json").is_file()

    def read_split(self, path: Path, **options: Any) -> PreferenceSplit:
        """The split in the folder ``path``, rows as released."""
        asked = {part: read_asked(find_part(path, part)) for part in PARTS}
        rows = [
            (f"{part}-{at}", book, rating)
            for part, prompts in asked.items()
            for at, prompt in enumerate(prompts, start=1)
            for book, rating in _rated(prompt)
        ]
        frame = pl.DataFrame(rows, schema=["user_id", "item_id", "rating"], orient="row")
        books = frame.select("item_id").unique(maintain_order=True).with_columns(title=pl.col("item_id"))
        data = Dataset.from_frames(_short(frame), _short(books), name="tallrec-book", notes=[NOTE], **options)
        numbers = {book: Item(at) for at, book in enumerate(books["title"])}
        users = iter(range(data.n_users))
        parts = (tuple(_judgement(prompt, numbers, User(next(users))) for prompt in asked[part]) for part in PARTS)
        return PreferenceSplit(data, "tallrec-released", {"min_rating": 6}, *parts)


def _rated(prompt: Asked) -> list[tuple[str, int]]:
    return [*((b, 1) for b in prompt.liked), *((b, 0) for b in prompt.disliked), (prompt.target, int(prompt.answer))]


def _short(frame: pl.DataFrame) -> pl.DataFrame:
    """Ids made of the titles' numbers: a title may be too long, or hold what no id may."""
    return frame.with_columns(item_id=pl.format("b{}", pl.col("item_id").rank("dense")))


def _judgement(prompt: Asked, numbers: dict[str, Item], user: User) -> Judgement:
    history = tuple(numbers[book] for book in (*prompt.liked, *prompt.disliked))
    likes = (True,) * len(prompt.liked) + (False,) * len(prompt.disliked)
    return Judgement(Query(history, (numbers[prompt.target],), user, likes=likes), prompt.answer)
