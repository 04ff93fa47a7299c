"""MovieLens-100K -> the conversation that Chat-REC's claims about talking are measured on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tastemaker import Recommender, collab
from tastemaker.data import Dataset, load_dataset
from tastemaker.data.split import Split
from tastemaker.evaluate import significance
from tastemaker.evaluate.result import Row
from tastemaker.llm.sentences import SentenceEncoder
from tastemaker.serve.chat.catalogue import Catalogue
from tastemaker.serve.chat.engine import Engine
from tastemaker.serve.chat.shelf import Shelf
from tastemaker.serve.opening import nouns_of

RETRIEVER = "ease"


def films() -> Dataset:
    """What users liked, the whole catalogue."""
    return load_dataset("ml-100k").filter(min_rating=4)


def shelf(data: Dataset, folder: Path, encoder: SentenceEncoder) -> Shelf:
    """The data with a retriever fitted on all of it, and its search index in ``folder``."""
    split = data.split("leave-one-out", k_core=0)
    if not isinstance(split, Split):
        raise TypeError(type(split))
    recommender = Recommender(collab.models.get(RETRIEVER)().fit(split), data=split)
    return Shelf(recommender, Catalogue.open(folder, data.items, encoder), nouns=nouns_of(data.name))


def engine(folder: Path, *others: Shelf) -> Engine:
    """A conversation over the whole of it, by rules and the retriever: no language model has a say."""
    return Engine(shelf(films(), folder, SentenceEncoder.load()), *others)


def row(system: str, kind: str, **shares: tuple[int, int]) -> Row:
    """A row of shares, each given as how many of how many, with Wilson's intervals."""
    known = {name: (hits, of) for name, (hits, of) in shares.items() if of}
    return Row(
        system=system,
        kind=kind,
        metrics={name: hits / of for name, (hits, of) in known.items()},
        ci95={name: significance.wilson(hits, of) for name, (hits, of) in known.items()},
        notes=", ".join(f"{name} {hits:,} of {of:,}" for name, (hits, of) in known.items()),
    )


def drawn_users(data: Dataset, n: int) -> list[str]:
    """``n`` ids of users with a history, always the same."""
    with_history = data.interactions["user"].unique().sort().to_numpy()
    chosen = np.random.default_rng(0).permutation(with_history)[:n]
    ids: list[Any] = data.users["user_id"].gather(pl.Series(chosen)).to_list()
    return ids
