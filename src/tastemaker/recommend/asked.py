"""Ids from outside -> what a recommender is asked, whole or without those that nobody knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, Self

from tastemaker.data.dataset import Dataset
from tastemaker.errors import UsageError

Unknown = Literal["error", "skip"]
"""What becomes of an id that nobody knows: it is an error, or it is left out and told."""
NAMED = 5
"""How many ids that were left out are named."""


class UnknownIdWarning(UserWarning):
    """Ids were left out because nobody knows them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """For whom, by outside ids, and out of what."""

    users: Sequence[str] | None
    """Known ones; None where there are histories."""
    histories: Mapping[str, Sequence[str]]
    """By name, item ids oldest first."""
    candidates: Sequence[str] | None
    """None: the whole catalogue."""
    skipped: tuple[str, ...] = ()
    """What was left out: ids of users, then of items."""

    @classmethod
    def of(
        cls,
        users: Sequence[str] | None,
        histories: Sequence[Sequence[str]] | Mapping[str, Sequence[str]] | None,
        candidates: Sequence[str] | None = None,
    ) -> Self:
        """Users or histories, which are numbered unless they come by name. Raises `UsageError` for both or neither."""
        if (users is None) == (histories is None):
            raise UsageError("give either users, by id, or histories, as lists of item ids")
        if isinstance(users, str) or (isinstance(histories, Sequence) and any(isinstance(h, str) for h in histories)):
            raise UsageError("users are a list of ids, histories a list of lists of item ids; put yours into [ ]")
        named = histories if isinstance(histories, Mapping) else {str(i): h for i, h in enumerate(histories or ())}
        return cls(users, named, candidates)

    def settled(self, data: Dataset, unknown: Unknown) -> Self:
        """The same, with ``unknown="skip"`` without the ids that ``data`` does not have."""
        if unknown not in ("error", "skip"):
            raise UsageError(f"unknown is {unknown!r}; it is error or skip")
        if unknown == "error":
            return self
        users = data.unknown_users(self.users or ())
        items = data.unknown_items(chain(*self.histories.values(), self.candidates or ()))
        return type(self)(
            _without(users, self.users),
            {name: _without(items, history) or () for name, history in self.histories.items()},
            _without(items, self.candidates),
            (*users, *items),
        )


def left_out(skipped: Sequence[str]) -> str:
    """What was left out, in one line."""
    named = ", ".join(repr(one) for one in skipped[:NAMED])
    more = f" and {len(skipped) - NAMED:,} more" if len(skipped) > NAMED else ""
    said = "id is not known and was" if len(skipped) == 1 else "ids are not known and were"
    return f"{len(skipped):,} {said} left out: {named}{more}"


def _without(strange: Sequence[str], ids: Sequence[str] | None) -> Sequence[str] | None:
    gone = set(strange)
    return None if ids is None else [one for one in ids if one not in gone]
