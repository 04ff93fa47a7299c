"""Interactions as they were read -> items that users drawn by lot have in common: what a push attack looks like."""

from __future__ import annotations

import polars as pl
from scipy.special import bdtrc

from tastemaker.data.checkup._finding import Finding, some

LOT = 3.0
"""Standard errors by which what a person has is at least more popular than items drawn by lot."""
ENOUGH = 10
"""Items from which on that can be said of a user."""
TOGETHER = 5
"""Such users that must share an item."""
SHARE, LIFT = 0.3, 3
"""The share of them that must, and how many times the share of all others that must be."""
CHANCE = 0.01
"""How often this may be told where there is nothing, by chance, in all items together."""
MOST = 3
"""Items that are told, the least likely first."""


def pushed(rows: pl.DataFrame) -> list[Finding]:
    """An item for each finding: users whose other items look drawn by lot have it far more often than all others.

    Fake users that push an item fill their histories at random. People do not: what they choose is popular. Fakes
    with histories copied from people are not found.
    """
    pairs = rows.select("user_id", "item_id").unique()
    fame = pairs.group_by("item_id").agg(pl.len().log().alias("fame"))
    mean, spread = fame["fame"].mean(), fame["fame"].std()
    users = pairs.join(fame, on="item_id").group_by("user_id").agg(pl.len().alias("n"), pl.col("fame").mean())
    error = spread / pl.col("n").sqrt()
    drawn = users.filter((pl.col("n") >= ENOUGH) & (pl.col("fame") - mean < LOT * error))
    if drawn.height < TOGETHER:
        return []
    by_lot = float(drawn["n"].to_numpy().mean()) / fame.height  # share of them with any one item, if they do
    drawn = drawn.select("user_id", drawn=pl.lit(value=True))
    counts = (
        pairs.join(drawn, on="user_id", how="left")
        .group_by("item_id")
        .agg(pl.col("drawn").sum().alias("k"), pl.col("drawn").is_null().sum().alias("others"))
        .with_columns(((pl.col("others") + 1) / (users.height - drawn.height + 2)).clip(by_lot).alias("usual"))
    )
    suspects = counts.filter(
        (pl.col("k") >= TOGETHER)
        & (pl.col("k") >= SHARE * drawn.height)
        & (pl.col("k") >= LIFT * pl.col("usual") * drawn.height)
    )
    by_chance = bdtrc(suspects["k"].to_numpy() - 1, drawn.height, suspects["usual"].to_numpy()) * counts.height
    suspects = suspects.with_columns(pl.Series("by_chance", by_chance)).filter(pl.col("by_chance") < CHANCE)
    found = []
    for item_id, k in suspects.sort("by_chance", "item_id").head(MOST).select("item_id", "k").iter_rows():
        theirs = rows.join(drawn, on="user_id", how="semi", maintain_order="left").filter(pl.col("item_id") == item_id)
        told = f"rows of item {item_id!r}, which {k:,} of the {drawn.height:,} users have who seem to choose by lot"
        advice = "look at these users: fakes fill their histories at random round the item they are made for"
        found += some("odd", "users", theirs, told, advice)
    return found
