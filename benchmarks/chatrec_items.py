"""chatrec-new-items: films nobody knew, added while the conversation runs -> how often a paraphrase finds them."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import chatrec_books, chatrec_shop
from benchmarks.chatrec_results import write
from benchmarks.kept import RUNS, Asked
from tastemaker.data import Dataset
from tastemaker.llm.sentences import SentenceEncoder
from tastemaker.serve.chat import lexicon
from tastemaker.serve.chat.dialogue import Dialogue, Items
from tastemaker.serve.chat.engine import Engine

NEW, SHOWN = 100, 10
METRICS = ("recall@10", "recall@10 misspelt")
SAID = {
    "Animation": "animated", "Children's": "kids", "Comedy": "funny", "Horror": "scary", "Romance": "romantic",
    "Sci-Fi": "science fiction", "Thriller": "suspense", "Film-Noir": "noir",
}  # fmt: skip
"""How people say a genre; the others go by their names."""
TEMPLATES = (
    "I am looking for a {genre} film from the {decade}s, something with {words}",
    "can you recommend that {genre} movie of the {decade}s about {words}",
    "recommend a {genre} film, it came out in {year}, I only remember {words}",
    "something {genre} with {words} in it",
)
Row = Mapping[str, Any]


def measure(name: str, asked: Asked) -> list[Path]:
    """Both files, or the one asked for: new films, and books found by films."""
    encoder, made = SentenceEncoder.load(), {"new-items": _new_items, "cross-domain": _cross_domain}
    return [table(name, asked, encoder) for part, table in made.items() if asked.wants(part)]


def _new_items(name: str, asked: Asked, encoder: SentenceEncoder) -> Path:
    started = time.monotonic()
    whole = chatrec_shop.films()
    rows = chosen(whole)
    with tempfile.TemporaryDirectory() as folder:  # made anew: what was added before would be there already
        engine = Engine(chatrec_shop.shelf(without(whole, rows), Path(folder), encoder))
        before = time.monotonic()
        engine.add_items(rows)
        added = time.monotonic() - before
        texts_of = {
            METRICS[0]: [(row, paraphrase(row, number)) for number, row in enumerate(rows)],
            METRICS[1]: [(row, paraphrase(row, number, misspelt)) for number, row in enumerate(rows)],
        }
        catalogue = engine.main.catalogue
        searches: dict[str, Callable[[str], list[str]]] = {
            "BM25 alone": lambda text: catalogue._matching(text, SHOWN, ()),
            "vectors alone": lambda text: [i for i, _ in catalogue.nearest(encoder.encode([text])[0], SHOWN)],
            "catalogue search (both)": lambda text: [i for i, _ in catalogue.search(text, SHOWN)],
            "conversation": lambda text: listed(engine, text),
        }
        kinds = ("trivial", "llm", "llm", "llm")
        found = []
        for (system, search), kind in zip(searches.items(), kinds, strict=True):
            hits = {
                name: (sum(row["item_id"] in search(text)[:SHOWN] for row, text in texts), NEW)
                for name, texts in texts_of.items()
            }
            found.append(chatrec_shop.row(system, kind, **hits))
    return write(
        name,
        "new-items",
        whole,
        claim=name,
        asked=asked,
        n=NEW,
        rows=tuple(found),
        metrics=METRICS,
        describes=f"{NEW} films withheld from everything and added through add_items, {added:.1f} s for all of them",
        remarks=(
            "A request is one of four templates with a way to say one genre, decade or year, and the words of the "
            "title, the first of them and the articles left out, the others backwards; films of one such word are not "
            f"drawn. Such as: {'; '.join(text for _, text in texts_of[METRICS[0]][:3])}. In the other column two "
            "letters in the middle of each of these words have changed places. People paraphrase more freely than "
            "that.",
        ),
        seconds=round(time.monotonic() - started, 1),
    )


def _cross_domain(name: str, asked: Asked, encoder: SentenceEncoder) -> Path:
    started = time.monotonic()
    folder = RUNS / "chatrec" / "books"
    shutil.rmtree(folder, ignore_errors=True)
    engine = chatrec_shop.engine(RUNS / "chatrec" / "catalogue", chatrec_books.shelf(folder, encoder))
    data = engine.main.recommender.data
    n_genres, tries, rng = len(chatrec_books.BOOKS), 10, np.random.default_rng(0)
    rows, total = [], 0
    for genre in chatrec_books.BOOKS:
        of_genre = data.items.filter(pl.col("genres").list.contains(genre))["item_id"].to_numpy()
        hits = sum(
            chatrec_books.found(engine, genre, rng.permutation(of_genre)[: chatrec_books.FILMS].tolist())
            for _ in range(tries)
        )
        total += hits
        rows.append(chatrec_shop.row(genre, "genre", **{"precision@6": (hits, tries * chatrec_books.SHOWN)}))
    n = n_genres * tries * chatrec_books.SHOWN
    best = max(rows, key=lambda row: row.metrics["precision@6"])
    others = sum(row.metrics["precision@6"] for row in rows if row is not best) / (n_genres - 1)
    rows.insert(0, chatrec_shop.row("conversation", "llm", **{"precision@6": (total, n)}))
    return write(
        "chatrec-cross-domain",
        "cross-domain",
        data,
        claim=name,
        asked=asked,
        n=n_genres * tries,
        rows=tuple(rows),
        metrics=("precision@6",),
        focus="conversation",
        describes=f"{n_genres * chatrec_books.SHOWN} made-up books, {tries} histories of {chatrec_books.FILMS} films "
        f"of each genre, the first {chatrec_books.SHOWN} books shown; guessing gets {1 / n_genres:.3f}",
        remarks=(
            "A small evaluation of our own making, with these limits. Books and blurbs were written for it, six to a "
            "genre; no genre is named, but blurbs are full of the plain words of theirs. A history is films of one "
            "genre, which nobody's is, and a book is right if it is of that genre, not if its reader would like it. "
            f"{best.system} does best; over the other genres it is {others:.3f}. Sentence vectors decide; no language "
            "model writes or ranks. It shows that some meaning carries over, not how well real readers would be "
            "served.",
        ),
        seconds=round(time.monotonic() - started, 1),
    )


def chosen(data: Dataset) -> list[dict[str, Any]]:
    """Films with a year, genres, a title of their own and at least two words in it, drawn once and for all."""
    single = data.items.filter(pl.col("title").is_unique() & pl.col("year").is_not_null())
    rows = [row for row in single.to_dicts() if [g for g in row["genres"] or () if g != "unknown"]]
    rows = [row for row in rows if len(_words(row)) >= 2]
    return [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:NEW]]


def without(data: Dataset, rows: Sequence[Row]) -> Dataset:
    """The data as if these items had never been."""
    gone = {row["item_id"] for row in rows}
    ids = data.items["item_id"]
    kept = data.interactions.with_columns(
        item_id=ids.gather(data.interactions["item"]), user_id=data.users["user_id"].gather(data.interactions["user"])
    ).filter(~pl.col("item_id").is_in(gone))
    items = data.items.filter(~pl.col("item_id").is_in(gone))
    return Dataset.from_frames(kept.select("user_id", "item_id", "rating", "time"), items, data.users, name=data.name)


def paraphrase(row: Row, number: int, said: Callable[[str], str] = str) -> str:
    """A request that means the film and does not hold its title, whose words are ``said`` so."""
    genres = [genre for genre in row["genres"] if genre != "unknown"]
    genre = genres[number % len(genres)]
    words = " ".join(map(said, reversed(_words(row)[1:])))
    year = int(row["year"])
    template = TEMPLATES[number % len(TEMPLATES)]
    return template.format(genre=SAID.get(genre, genre.lower()), decade=year // 10 * 10, year=year, words=words)


def misspelt(word: str) -> str:
    """The word with two letters in its middle exchanged."""
    at = len(word) // 2
    return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]


def listed(engine: Engine, text: str) -> list[str]:
    """The ids a stranger is shown."""
    for event in engine.reply(Dialogue(id="stranger"), text):
        if isinstance(event, Items):
            return [card.item_id for card in event.cards]
    return []


def _words(row: Row) -> list[str]:
    """Of the title, without year, articles and what says nothing to a search."""
    plain = row["title"].partition("(")[0]
    return [word for word in lexicon.key(plain) if word not in lexicon.STOP and len(word) > 1]
