"""Twelve users who watch thirty films in circles: small enough to check by eye, real enough to train on."""

from __future__ import annotations

import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Split

N_USERS, N_FILMS, LENGTH = 12, 30, 8
GENRES = ("Crime", "Comedy", "Drama")


def films(n_users: int = N_USERS) -> Dataset:
    """User u saw films u, u + 1 ... u + 7, one an hour; film i is of 1990 + i and of genre i % 3."""
    rows = [(f"u{u}", f"f{(u + k) % N_FILMS}", 3600 * (100 * u + k)) for u in range(n_users) for k in range(LENGTH)]
    items = pl.DataFrame(
        {
            "item_id": [f"f{i}" for i in range(N_FILMS)],
            "title": [f"Film {i} ({1990 + i})" for i in range(N_FILMS)],
            "year": [1990 + i for i in range(N_FILMS)],
            "genres": [[GENRES[i % 3]] for i in range(N_FILMS)],
        }
    )
    interactions = pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row")
    return Dataset.from_frames(interactions, items, name="films")


def films_split(n_users: int = N_USERS) -> Split:
    """The films, each user's last two held out."""
    return films(n_users).split("leave-one-out", k_core=0)
