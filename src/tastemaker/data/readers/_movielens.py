"""What the MovieLens files share: titles that end in a year, and how their parts become columns."""

from __future__ import annotations

import polars as pl

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""The genre flags of ``u.item``, in their order."""


def year() -> pl.Expr:
    """The last ``(YYYY)`` of a title, or null."""
    return pl.col("title").str.extract(r"^.*\(((?:18|19|20)[0-9]{2})\)", 1).cast(pl.Int32).alias("year")
