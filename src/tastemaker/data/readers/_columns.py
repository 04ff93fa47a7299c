"""The header of a table -> which of its columns is which of ours, whatever the usual names they go by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tastemaker.errors import DataError

DESCRIBED = ("title", "year", "genres")
"""What a table of interactions may say of its items, where they have no table of their own."""
OURS = ("user_id", "item_id", "rating", "time", "order", *DESCRIBED)
Told = Mapping[str, str | None]
"""Our names -> the file's, as the user says; None: the file has no such column."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    "user_id": (
        "user", "uid", "reviewer", "reviewerid", "customer", "customerid", "member", "memberid", "reader", "readerid",
        "visitorid",
    ),
    "item_id": (
        "item", "iid", "movieid", "productid", "asin", "parentasin", "isbn", "sku", "bookid", "articleid", "trackid",
        "songid", "gameid",
    ),
    "rating": ("ratings", "score", "stars", "overall"),
    "time": ("timestamp", "ts", "date", "datetime", "unixtime", "unixreviewtime", "eventtime"),
    "title": (
        "name", "itemtitle", "itemname", "movietitle", "moviename", "producttitle", "productname", "booktitle",
        "bookname", "trackname", "songname",
    ),
    "year": ("releaseyear", "publicationyear", "yearofpublication"),
    "genres": ("genre",),
}  # fmt: skip
"""Other names of our columns, as `plain` writes them; no name is there twice."""
PUNCTUATION = str.maketrans("", "", " _-.")


def plain(name: str) -> str:
    """The name without case and punctuation: ``userId``, ``User-ID`` and ``user_id`` are the same.

    >>> plain("Parent_ASIN")
    'parentasin'
    """
    return name.lower().translate(PUNCTUATION)


def columns_of(
    header: Sequence[str], wanted: Sequence[str], told: Told, path: Path, *, key: str | None = None
) -> dict[str, str]:
    """The file's column for each of ours that it has: the one that was told, else of our name, else of a usual one.

    ``key`` is the column by which a table of items or users goes, and which may be called just ``id`` there. Raises
    `DataError` where two columns would do.
    """
    found = {ours: theirs for ours in wanted if (theirs := told.get(ours)) is not None}
    taken = set(found.values())
    found |= {ours: ours for ours in wanted if ours not in told and ours in header and ours not in taken}
    for ours in wanted:
        if ours in found or ours in told:
            continue
        usual = {plain(ours), *ALIASES.get(ours, ()), *(("id",) if ours == key else ())}
        likely = [name for name in header if plain(name) in usual and name not in taken]
        if len(likely) > 1:
            names = " and ".join(map(repr, likely))
            raise DataError(f"{names} may each be {ours}; say which it is, as with columns.{ours}={likely[0]}", path, 1)
        if likely:
            found[ours] = likely[0]
    return found


def renamed(found: Mapping[str, str], told: Told) -> Iterator[tuple[str, str]]:
    """The file's name and ours of each column that was taken for one of ours without being told."""
    yield from ((theirs, ours) for ours, theirs in found.items() if ours not in told and ours != theirs)
