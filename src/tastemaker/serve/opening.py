"""A saved recommender's directory -> where its state is, and the conversation over it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.data.dataset import Dataset
from tastemaker.recommend import Recommender
from tastemaker.recommend.saved import locate
from tastemaker.types import Progress, quiet

if TYPE_CHECKING:
    from tastemaker.serve.chat.engine import Engine

NOUNS = {
    r"\bml\b|movielens|movie|film|cinema": ("film", "films", "movie", "movies"),
    r"book": ("book", "books", "novel", "novels"),
    r"steam|game": ("game", "games"),
    r"lastfm|last\.fm|music|artist": ("artist", "artists", "band", "bands"),
}
"""What a dataset's name says of the things in it: the words that people use for them."""


def state_folder(path: str | os.PathLike[str]) -> Path:
    """Where the service keeps what is its own: within a run, or beside a saved recommender, which is left as it is."""
    path = Path(os.path.abspath(path))  # ``.`` has no name, and what lies beside ``..`` would be inside
    return path / "serve" if locate(path) != path else path.with_name(f"{path.resolve().name}.serve")


def open_conversation(recommender: Recommender, folder: Path, progress: Progress = quiet, **options: Any) -> Engine:
    """The engine, its catalogue's search index kept in ``folder``: made the first time, there at once from then on.

    ``options`` are those of `Engine`. Ratings are predicted where `keep_ratings` was called before.
    """
    from tastemaker.llm.sentences import SentenceEncoder
    from tastemaker.serve.chat.catalogue import Catalogue
    from tastemaker.serve.chat.engine import Engine
    from tastemaker.serve.chat.ratings import Ratings
    from tastemaker.serve.chat.shelf import Shelf

    catalogue = Catalogue.open(folder / "catalogue", recommender.data.items, SentenceEncoder.load(), progress=progress)
    shelf = Shelf(recommender, catalogue, nouns=nouns_of(recommender.data.name))
    ratings = Ratings.load(folder / "ratings") if (folder / "ratings").is_dir() else None
    if ratings is not None and ratings.size != (recommender.data.n_users, recommender.data.n_items):
        ratings = None  # of what was there before
    return Engine(shelf, ratings=ratings, **options)


def keep_ratings(data: Dataset, recommender: Recommender, folder: Path) -> bool:
    """Whether ``data`` has ratings: if so, what was learned of them is in ``folder`` from now on."""
    from tastemaker.serve.chat.ratings import Ratings

    if data.interactions["rating"].null_count() == data.n_interactions:
        return False
    Ratings.fit(data, recommender).save(folder / "ratings")
    return True


def nouns_of(name: str) -> tuple[str, ...]:
    """What people call the things of a dataset of that name; nothing where it does not say."""
    return next((nouns for pattern, nouns in NOUNS.items() if re.search(pattern, name.lower())), ())
