"""Made-up films and their watchers, as many as MovieLens-1M has or a few -> a recommender to serve."""

from __future__ import annotations

import numpy as np
import polars as pl

from benchmarks.prompts import WORDS
from tastemaker import Recommender
from tastemaker.collab.sasrec import SASRec
from tastemaker.data import Dataset, Split
from tastemaker.llm.remote import READ_SECONDS, RemoteLM
from tastemaker.methods.chatrec import ChatRec

GENRES = ("Comedy", "Crime", "Drama", "Horror", "Romance", "Western")


def films(users: int, items: int, *, chosen: int = 30) -> Split:
    """Everybody's ``chosen`` films, popular ones more often; the last two are asked for."""
    rng = np.random.default_rng(0)
    words = WORDS.split()
    table = pl.DataFrame(
        {
            "item_id": [f"f{i}" for i in range(items)],
            "title": [
                f"{words[i % len(words)]} {words[(7 * i + i // len(words)) % len(words)]} {i}" for i in range(items)
            ],
            "genres": [[GENRES[i % len(GENRES)]] for i in range(items)],
            "year": [1950 + i % 60 for i in range(items)],
        }
    )
    weights = 1 / np.arange(5, items + 5)
    drawn = [rng.choice(items, size=chosen, replace=False, p=weights / weights.sum()) for _ in range(users)]
    rows = pl.DataFrame(
        {
            "user_id": np.repeat([f"u{u}" for u in range(users)], chosen),
            "item_id": [f"f{i}" for own in drawn for i in own],
            "time": np.tile(np.arange(chosen), users),
        }
    )
    split = Dataset.from_frames(rows, table, name="films").split("leave-one-out", k_core=0)
    assert isinstance(split, Split)
    return split


def recommender(split: Split, remote: str = "", patience: float = READ_SECONDS) -> Recommender:
    """SASRec alone; with ``remote``, re-ranked by the model of the server there."""
    retriever = SASRec(epochs=1).fit(split)
    if not remote:
        return Recommender(retriever, None, split)
    ranker = ChatRec(
        RemoteLM(remote, "scripted", retries=0, read=patience), retriever, weight=1.0, nearness=0.0, encoder=None
    )
    return Recommender(retriever, ranker.tune(split), split, n_candidates=20)
