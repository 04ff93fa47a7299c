"""Tables of interactions, items and users -> one frozen `Dataset` with dense numbers inside."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tastemaker import artifacts
from tastemaker.data import frames
from tastemaker.errors import ArtifactError, DataError, UsageError
from tastemaker.types import IntArray

if TYPE_CHECKING:
    from tastemaker.data.preference import AnySplit


@dataclass(frozen=True, eq=False)
class Dataset:
    """Who interacted with what, when, and what the items are called.

    ``interactions``: columns ``user`` and ``item`` (int32 row numbers), ``rating`` (float32 or null), ``time``
    (int64 seconds or null), sorted by user, then time, then the order of the file; that order is the history.
    ``items``: row i describes item i: ``item_id`` (str), ``title`` (str), then attributes, of which ``year``
    (int32) and ``genres`` (list[str]) are understood everywhere. ``users``: row i is user i: ``user_id`` (str) ...
    """

    name: str
    interactions: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame
    notes: tuple[str, ...] = field(default=())
    """What reading changed or noticed, one sentence each: shown by ``describe``."""
    arrivals: tuple[int, ...] = field(default=())
    """Users in the order in which the interactions first named them, as some protocols ask; not part of ``hash``."""

    @classmethod
    def from_frames(
        cls,
        interactions: Any,
        items: Any = None,
        users: Any = None,
        *,
        name: str,
        notes: Sequence[str] = (),
    ) -> Dataset:
        """A dataset from frames with ``user_id``, ``item_id`` and, where known, ``rating``, ``time``, ``title`` ...

        Any frame narwhals understands will do (polars, pandas, Arrow, DuckDB ...). Users and items are numbered in
        the order of their own table; those that only interact follow, in order of appearance, without a title.

        >>> import polars as pl
        >>> Dataset.from_frames(pl.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"]}), name="two").n_items
        2
        """
        rows = frames.interaction_rows(interactions)
        item_table, more_items = frames.entity_table(items, "item", rows["item_id"])
        user_table, more_users = frames.entity_table(users, "user", rows["user_id"])
        numbered = frames.numbered(rows, user_table, item_table)
        places = dict(zip(user_table["user_id"], range(user_table.height), strict=True))
        arrivals = tuple(places[user_id] for user_id in rows["user_id"].unique(maintain_order=True))
        return cls(name, numbered, item_table, user_table, (*notes, *more_items, *more_users), arrivals)

    @classmethod
    def of_items(cls, items: pl.DataFrame, *, name: str = "catalogue") -> Dataset:
        """A catalogue alone: nobody has interacted with any of it."""
        nothing = {"user": pl.Int32, "item": pl.Int32, "rating": pl.Float32, "time": pl.Int64}
        return cls(name, pl.DataFrame(schema=nothing), items, pl.DataFrame(schema={"user_id": pl.String}))

    @property
    def n_users(self) -> int:
        """How many users there are, with or without interactions."""
        return self.users.height

    @property
    def n_items(self) -> int:
        """How many items the catalogue has, with or without interactions."""
        return self.items.height

    @property
    def n_interactions(self) -> int:
        """How many rows of interactions there are."""
        return self.interactions.height

    @cached_property
    def titles(self) -> list[str]:
        """What each item is called, by item number; an item without a title goes by its id."""
        pairs = zip(self.items["title"], self.items["item_id"], strict=True)
        return [title if title.strip() else item_id for title, item_id in pairs]

    def item_numbers(self, ids: Sequence[str]) -> IntArray:
        """The numbers of these outside ids. Raises `UsageError` for an id the catalogue does not have."""
        return _numbers(ids, self._item_of, "item", self.name)

    def user_numbers(self, ids: Sequence[str]) -> IntArray:
        """The numbers of these outside ids. Raises `UsageError` for a user never seen."""
        return _numbers(ids, self._user_of, "user", self.name)

    def unknown_items(self, ids: Iterable[str]) -> list[str]:
        """Those of these ids that the catalogue does not have, each once."""
        return [item_id for item_id in dict.fromkeys(ids) if item_id not in self._item_of]

    def unknown_users(self, ids: Iterable[str]) -> list[str]:
        """Those of these ids that no user has, each once."""
        return [user_id for user_id in dict.fromkeys(ids) if user_id not in self._user_of]

    def history(self, user: int) -> IntArray:
        """The user's items, oldest first."""
        start, stop = self._offsets[user], self._offsets[user + 1]
        return self._item_column[start:stop]

    def filter(self, *, min_rating: float) -> Dataset:
        """The interactions rated at least ``min_rating``; users, items and their numbers stay as they are."""
        if self.interactions["rating"].null_count() == self.n_interactions:
            raise UsageError(
                f"{self.name} has no ratings, so min_rating={min_rating:g} cannot be applied; leave it out"
            )
        kept = self.interactions.filter(pl.col("rating") >= min_rating)
        if kept.is_empty():
            raise DataError(f"no interactions are left in {self.name}, rated at least {min_rating:g}; lower min_rating")
        note = f"Kept {kept.height:,} of {self.n_interactions:,} interactions, those rated at least {min_rating:g}."
        return self.with_interactions(kept, note)

    def k_core(self, k: int) -> Dataset:
        """What is left, renumbered, when users and items with fewer than ``k`` interactions go, until none is left."""
        users, items = (self.interactions[c].to_numpy() for c in ("user", "item"))
        keep = np.ones(len(users), dtype=bool)
        while True:
            enough_users = np.bincount(users[keep], minlength=self.n_users) >= k
            enough_items = np.bincount(items[keep], minlength=self.n_items) >= k
            kept = keep & enough_users[users] & enough_items[items]
            if kept.sum() == keep.sum():
                break
            keep = kept
        if not keep.any():
            raise DataError(f"no interactions are left in {self.name}: it has no {k}-core; lower k_core")
        note = f"Kept {int(keep.sum()):,} of {self.n_interactions:,} interactions, the {k}-core."
        return self.with_interactions(self.interactions.filter(pl.Series(keep)), note).compact()

    def compact(self) -> Dataset:
        """The same interactions without the users and items that have none; numbers change."""
        kept = self.interactions["user"].unique().sort().to_list()
        new = dict(zip(kept, range(len(kept)), strict=True))
        users, rows = frames.renumbered(self.users, self.interactions, "user")
        items, rows = frames.renumbered(self.items, rows, "item")
        arrivals = tuple(new[user] for user in self.arrivals if user in new)
        return replace(self, interactions=rows, users=users, items=items, arrivals=arrivals)

    def without_repeats(self) -> Dataset:
        """Each user's first interaction with each item only."""
        first = self.interactions.unique(["user", "item"], keep="first", maintain_order=True)
        repeats = self.n_interactions - first.height
        if not repeats:
            return self
        return self.with_interactions(first, f"Dropped {repeats:,} repeated interactions with the same item.")

    def with_interactions(self, interactions: pl.DataFrame, note: str) -> Dataset:
        """The same users and items with some of the interactions, and a note that says why."""
        if interactions.is_empty():
            raise DataError(f"no interactions are left in {self.name}: {note}")
        kept = set(interactions["user"].unique())
        arrivals = tuple(user for user in self.arrivals if user in kept)
        return replace(self, interactions=interactions, notes=(*self.notes, note), arrivals=arrivals)

    def split(self, name: str, **settings: Any) -> AnySplit:
        """Train, valid and test by a named protocol: ``dataset.split("leave-one-out", k_core=5)``.

        The protocol says which kind: a `Split` asks what a user chooses next, a `PreferenceSplit` what they like.
        """
        from tastemaker.data import splits  # the rules build Splits of Datasets, so they load after this file

        return splits.get(name).of(**settings).apply(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the dataset as a verified directory. Raises `ArtifactError`."""
        arrivals = pl.DataFrame({"user": pl.Series(self.arrivals, dtype=pl.Int32)})
        tables = {"interactions": self.interactions, "items": self.items, "users": self.users, "arrivals": arrivals}
        about = {"name": self.name, "notes": list(self.notes), "hash": self.hash}
        artifacts.save(path, kind="dataset", json={"about": about}, frames=tables)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Dataset:
        """The dataset that `save` wrote, to the last byte. Raises `ArtifactError`."""
        found = artifacts.load(path, "dataset")
        about = found.json("about")
        interactions, items, users = (found.frame(name) for name in ("interactions", "items", "users"))
        try:
            listed = found.frame("arrivals")["user"] if "arrivals.parquet" in found.names else about.get("arrivals", ())
            arrivals = tuple(map(int, listed))
            data = cls(str(about["name"]), interactions, items, users, tuple(map(str, about["notes"])), arrivals)
            frames.check_numbered(interactions, users, items)
            if arrivals and set(arrivals) != set(interactions["user"].unique()):
                raise ValueError("its users arrived otherwise than its interactions say")
            intact = data.hash == about["hash"]
        except (KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as e:
            raise ArtifactError(f"{path}: not a dataset that this version reads: {e}") from None
        if not intact:
            raise ArtifactError(f"{path}: its tables are not those of the dataset it names; save it again")
        return data

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content (not of name and notes): the same facts give the same hash, whatever the source."""
        digest = hashlib.sha256()
        for frame in (self.interactions, self.items, self.users):
            frames.update(digest, frame)
        return digest.hexdigest()

    @cached_property
    def _item_column(self) -> IntArray:
        column: IntArray = self.interactions["item"].to_numpy()
        return column

    @cached_property
    def _offsets(self) -> IntArray:
        counts = np.bincount(self.interactions["user"].to_numpy(), minlength=self.n_users)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)

    @cached_property
    def _item_of(self) -> dict[str, int]:
        return {item_id: i for i, item_id in enumerate(self.items["item_id"])}

    @cached_property
    def _user_of(self) -> dict[str, int]:
        return {user_id: i for i, user_id in enumerate(self.users["user_id"])}


def _numbers(ids: Sequence[str], known: dict[str, int], what: str, name: str) -> IntArray:
    try:
        return np.asarray([known[i] for i in ids], dtype=np.int32)
    except KeyError as e:
        raise UsageError(f"{name} has no {what} with id {e.args[0]!r}; it has {len(known):,} {what}s") from None
