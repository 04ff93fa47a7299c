"""Eight people and six films with opinions one can check by eye, and the same as a split in time."""

from __future__ import annotations

import polars as pl

from tastemaker.data import Dataset, PreferenceSplit

JANUARY, MONTH = 1_577_836_800, 31 * 86_400  # 2020-01-01, in UTC


def opinions(n_users: int = 8, n_items: int = 6) -> Dataset:
    """User u rates film i in month i, at hour u; even users like (4) even films and odd users odd ones, else 2."""
    rows = [
        (f"u{u}", f"f{i}", 4 if (u + i) % 2 == 0 else 2, JANUARY + i * MONTH + 3600 * u)
        for u in range(n_users)
        for i in range(n_items)
    ]
    films = pl.DataFrame({"item_id": [f"f{i}" for i in range(n_items)], "title": [f"Film {i}" for i in range(n_items)]})
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "time"], orient="row")
    return Dataset.from_frames(frame, films, name="opinions")


def opinions_split(**settings: object) -> PreferenceSplit:
    """Films 0 to 2 train, film 3 is valid, films 4 and 5 test."""
    split = opinions().split(
        "time", **{"train_months": 3, "valid_months": 1, "test_months": 2, "skip_last": 0} | settings
    )
    assert isinstance(split, PreferenceSplit)
    return split
