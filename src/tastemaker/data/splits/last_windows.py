"""Every run of eleven rated items -> ten shown and one asked for; the last ten thousand runs are split in order."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from tastemaker.data.dataset import Dataset
from tastemaker.data.preference import Judgement, PreferenceSplit
from tastemaker.data.splits._judged import checked, liked_at, timed
from tastemaker.data.splits.base import SplitRule, sequences
from tastemaker.errors import DataError
from tastemaker.types import Item, Query, User


class LastWindows(SplitRule):
    """TALLRec's protocol for films: nearly a cut by user, since the runs of a user stand together.

    Users come in the order in which the file first names them, which is no order in time. The defaults are those of
    MovieLens-100K; its first user to test is also the last of valid. Of a user's ratings of one item the first counts.
    """

    min_rating: float = Field(default=4, allow_inf_nan=False)
    """The lowest rating that counts as liked; everything below is disliked."""
    window: int = Field(default=10, ge=1)
    """How many items are shown; a user with fewer is left out."""
    train: int = Field(default=8000, ge=1)
    valid: int = Field(default=1000, ge=0)
    test: int = Field(default=1000, ge=1)

    def apply(self, dataset: Dataset) -> PreferenceSplit:
        """Split the dataset; users and items keep their numbers."""
        data = timed(dataset).without_repeats()
        rows = list(self._windows(data))
        wanted = self.train + self.valid + self.test
        if len(rows) < wanted:
            raise DataError(f"{data.name} has {len(rows):,} windows of {self.window} + 1; lower train, valid or test")
        rows = rows[-wanted:]
        cut = self.train + self.valid
        parts = checked((tuple(rows[: self.train]), tuple(rows[self.train : cut]), tuple(rows[cut:])), data)
        return PreferenceSplit(data, "last-windows", self.settings(), *parts)

    def _windows(self, data: Dataset) -> Iterator[Judgement]:
        likes = iter(liked_at(data, self.min_rating).tolist())
        of = {user: (items, times, [next(likes) for _ in items]) for user, items, times in sequences(data)}
        for user in data.arrivals or sorted(of):
            items, times, said = of.get(user, ([], [], []))
            for at in range(self.window, len(items)):
                shown = slice(at - self.window, at)
                history = tuple(Item(item) for item in items[shown])
                time = times[at]
                query = Query(
                    history,
                    (Item(items[at]),),
                    User(user),
                    None if time is None else float(time),
                    likes=tuple(said[shown]),
                )
                yield Judgement(query, said[at])
