"""Chat-REC's claims on made-up films: tables, the checker of reasons, paraphrases and the splits of ratings."""

from __future__ import annotations

from pathlib import Path

import cinema
import numpy as np
import polars as pl
import pytest

from benchmarks import (
    chatrec,
    chatrec_books,
    chatrec_items,
    chatrec_lists,
    chatrec_ratings,
    chatrec_rows,
    chatrec_shop,
    kept,
)
from benchmarks.chatrec_reasons import Independent
from tastemaker import evaluate
from tastemaker.data import Dataset, Split
from tastemaker.llm.sentences import SentenceEncoder
from tastemaker.testing.methods import write_lm
from tastemaker.testing.tiny_encoder import tiny_encoder

LIKED = {"batch_size": 64, "epochs": 1, "embedding_size": 4}


@pytest.fixture
def films(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Dataset:
    """The made-up cinema instead of MovieLens, and a small encoder."""
    monkeypatch.chdir(tmp_path)
    encoder = tiny_encoder()
    monkeypatch.setattr(SentenceEncoder, "load", staticmethod(lambda *_: encoder))
    for module in (chatrec_shop, chatrec_rows, chatrec_ratings):
        monkeypatch.setattr(module, "load_dataset", lambda name: cinema.cinema())
    monkeypatch.setattr(chatrec_lists, "_VECTORS", {})
    chatrec_rows._split.cache_clear()
    monkeypatch.setattr(evaluate, "write_pages", lambda root: [])
    return cinema.cinema()


def test_lists_are_judged_once_and_written_into_every_table(
    films: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    zero_shot = {"weight": chatrec_rows.ALONE}
    rows = (
        chatrec_rows.Row("popularity", "trivial", "popularity"),
        chatrec_rows.Row("LightGCN", "collaborative", "lightgcn", LIKED),
        chatrec_rows.Row("zero-shot", "llm", "lightgcn", LIKED, chat=zero_shot, everybody=False),
        chatrec_rows.Row("Chat-REC (default)", "llm", "lightgcn", LIKED, chat={}),
    )
    parts = (
        chatrec_rows.Part("", "random", (0,), 5, "Of five."),
        chatrec_rows.Part("-all", "random", (0, 1), None, "Of all."),
        chatrec_rows.Part("-time", "time", (0, 1), None, "Of all, by time."),
    )
    monkeypatch.setattr(chatrec_lists, "N", 6)
    bench = chatrec_lists.Bench("films", kept.asked("chatrec", "", [], []), chatrec_rows.Claim(rows, parts))
    bench.llm = str(write_lm(tmp_path / "lm"))
    monkeypatch.setattr(bench, "_weight", lambda row, part: 0.0)
    for part in parts:
        for seed in part.seeds:
            for row in rows:
                bench.measure(row, part, seed)
    monkeypatch.setattr(evaluate, "evaluate", lambda *arguments: pytest.fail("measured again"))
    bench.measure(rows[0], parts[0], 0)
    sample, whole, by_time = (evaluate.read_result(bench.write(part)) for part in parts)  # type: ignore[arg-type]
    assert sample.n == 5
    assert whole.n == by_time.n == 60
    assert {row.system for row in sample.rows} - {row.system for row in whole.rows} == {"zero-shot"}
    assert whole.rows[1].seeds == (0, 1)
    assert whole.missing == ("zero-shot",)
    assert whole.data_hash not in (sample.data_hash, by_time.data_hash)
    assert "nearness in meaning" in next(row.notes for row in sample.rows if row.system == "Chat-REC (default)")
    assert sample.remarks[0].endswith("Of five.")
    assert sample.published == ()


def test_fresh_splits_share_no_seed_with_those_the_rule_was_chosen_on(films: Dataset) -> None:
    seen = {seed for part in chatrec_rows.CLAIMS["chatrec-ml100k"].parts for seed in part.seeds}
    (fresh,) = chatrec_rows.CLAIMS["chatrec-ml100k-fresh"].parts
    assert seen.isdisjoint(fresh.seeds)
    assert fresh.whole(fresh.seeds[0]).hash not in {chatrec_rows.PARTS[1].whole(seed).hash for seed in seen}
    (other,) = chatrec_rows.CLAIMS["chatrec-ml1m"].parts
    assert other.data == "ml-1m"
    for part in (fresh, other):
        assert part.sample is None
        assert "fixed before" in part.remark


def test_movielens_1m_that_is_nowhere_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASTEMAKER_DATA", raising=False)
    with pytest.raises(SystemExit, match="set TASTEMAKER_DATA to the folder that has ml-1m/"):
        chatrec_rows.DATA["ml-1m"]()


def test_a_language_model_is_asked_for_its_weight_once_on_the_first_seed(
    films: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = (
        chatrec_rows.Row("LightGCN", "collaborative", "lightgcn", LIKED),
        chatrec_rows.Row("Chat-REC (default)", "llm", "lightgcn", LIKED, chat={}),
    )
    part = chatrec_rows.Part("", "random", (5, 6), None, "Fresh.")
    monkeypatch.setattr(chatrec_lists, "N", 6)
    bench = chatrec_lists.Bench("fresh", kept.asked("chatrec", "", [], []), chatrec_rows.Claim(rows, (part,)))
    bench.llm = "none that could be loaded"
    tuned: list[str] = []

    def chosen(method: chatrec_lists._Encoded, split: Split, **_: object) -> chatrec_lists._Encoded:
        if method.config.weight is None:
            tuned.append(split.hash)
        return told(method, split)

    told = chatrec_lists._Encoded.tune
    monkeypatch.setattr(chatrec_lists._Encoded, "tune", chosen)
    monkeypatch.setattr(chatrec_lists._Encoded, "_told", lambda self, queries, *_: [np.zeros(6)] * len(queries))
    monkeypatch.setattr(bench, "_lm", lambda: "none that could be loaded")
    for seed in part.seeds:
        bench.measure(rows[1], part, seed)
    assert tuned == [part.whole(5).hash]
    assert len(list((bench.folder / "rows").glob("*.json"))) == 2


def test_ratings_are_written_with_pairs_of_the_same_users(films: Dataset) -> None:
    chatrec.main(["chatrec-ratings"])
    result = evaluate.read_result("results/chatrec-ratings.json")
    assert len(result.rows) == 4
    assert len(result.seeds) == 5
    assert result.best("rmse") == {min(result.rows, key=lambda row: row.metrics["rmse"]).system}
    assert {pair.b for pair in result.paired} == {row.system for row in result.rows} - {chatrec_ratings.FOCUS}
    assert "all rows 90/10 at random" in result.describes
    assert "all rows 90/10 by time" in evaluate.read_result("results/chatrec-ratings-time.json").describes
    latest = films.interactions.filter(chatrec_ratings.latest(films))
    assert latest.group_by("user").len()["len"].unique().to_list() == [1]  # a tenth of twelve
    assert latest["time"].min() == 11


@pytest.mark.parametrize(
    ("told", "titles", "false"),
    [
        ('It shares the genre Crime and the decade 1990s with "Fargo (1996)", which you know.', 0, 0),
        ('It shares the genre Comedy with "Fargo (1996)", which you know.', 0, 1),
        ('It shares the decade 1980s with "Fargo (1996)", which you know.', 0, 1),
        ('It shares the genre Crime with "Up (2009)", which you know.', 1, 1),
        ('It shares the genre Crime with "Heat', 1, 0),
        ("It has the genres Crime and Drama and the year 1995.", 0, 0),
        ("It has the genres Crime and War and the year 1995.", 0, 1),
        ("It has the year 1996.", 0, 1),
        ('"Fargo (1996)" in the history speaks most for "Heat (1995)"; they share the 1990s.', 0, 0),
        ('"Big (1988)" and "Fargo (1996)" in the history speak most for "Heat (1995)"; they share the 1990s.', 0, 1),
        (
            'No single item of the history raised the score of "Heat (1995)"; it shares Crime with 1 of the latest 2.',
            0,
            0,
        ),
        (
            'No single item of the history raised the score of "Heat (1995)"; it shares Crime with 2 of the latest 2.',
            0,
            1,
        ),
    ],
)
def test_the_independent_checker_catches_lies(told: str, titles: int, false: int) -> None:
    heat = {"title": "Heat (1995)", "genres": ["Crime", "Drama"], "year": 1995}
    big = {"title": "Big (1988)", "genres": ["Comedy"], "year": 1988}
    fargo = {"title": "Fargo (1996)", "genres": ["Crime"], "year": 1996}
    others = [{"title": "x", "genres": ["War"], "year": 1}]
    found = Independent([heat, big, fargo, *others]).wrong(told, heat, [big, fargo])
    assert (bool(found[0]), bool(found[1])) == (bool(titles), bool(false))


def test_requests_reasons_and_instructions_run_on_any_catalogue(
    films: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.chatrec_talk.N", 12)
    monkeypatch.setattr("benchmarks.chatrec_reasons.N", 50)
    monkeypatch.setattr(chatrec_shop, "RETRIEVER", "itemknn")
    chatrec.main(["chatrec-instructions", "chatrec-reasons"])
    reasons = evaluate.read_result("results/chatrec-reasons.json")
    assert reasons.n == 50
    assert reasons.rows[0].metrics == {"false_attributes": 0, "strange_titles": 0}
    followed = evaluate.read_result("results/chatrec-instructions.json")
    assert followed.rows[0].metrics["satisfied"] >= 0.95
    assert "Items outside the catalogue: 0." in followed.remarks


def test_withheld_films_are_gone_and_a_paraphrase_is_not_the_title(films: Dataset) -> None:
    rows = chatrec_items.chosen(films)
    left = chatrec_items.without(films, rows)
    gone = {row["item_id"] for row in rows}
    assert left.n_items == films.n_items - len(gone)
    assert gone.isdisjoint(left.items["item_id"])
    assert (
        left.n_interactions
        == films.interactions.filter(~films.items["item_id"].gather(films.interactions["item"]).is_in(gone)).height
    )
    for number, row in enumerate(row for row in rows if row["title"] not in cinema.HOSTILE):
        told = chatrec_items.paraphrase(row, number).lower()
        words = row["title"].lower().partition(" (")[0].split()
        assert " ".join(words) not in told
        assert words[-1] in told
        assert words[1] not in told.split()  # the first of the words that say something, after "the"
    assert chatrec_items.misspelt("starlight") == "stalright"


def test_books_are_told_without_their_genre(films: Dataset, tmp_path: Path) -> None:
    for genre, books in chatrec_books.BOOKS.items():
        assert len(books) == chatrec_books.SHOWN
        assert not any(genre.lower() in one.lower() for one in books)
    engine = chatrec_shop.engine(tmp_path / "films", chatrec_books.shelf(tmp_path / "books", tiny_encoder()))
    of_genre = films.items.filter(pl.col("genres").list.contains("Horror"))["item_id"].to_list()
    assert 0 <= chatrec_books.found(engine, "Horror", of_genre[:8]) <= chatrec_books.SHOWN
    assert np.isfinite(engine.shelves["made-up books"].recommender.retriever.item_counts).all()


def test_books_found_by_films_are_told_with_their_limits(films: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = {genre: books for genre, books in chatrec_books.BOOKS.items() if genre in ("Horror", "Romance")}
    monkeypatch.setattr(chatrec_books, "BOOKS", shelf)
    chatrec.main(["chatrec-new-items", "--only", "cross-domain"])
    assert [path.name for path in Path("results").iterdir()] == ["chatrec-cross-domain.json"]
    result = evaluate.read_result("results/chatrec-cross-domain.json")
    assert result.focus == result.rows[0].system
    found = {row.system: row.metrics["precision@6"] for row in result.rows[1:]}
    best, least = sorted(found, key=found.__getitem__, reverse=True)
    (limits,) = result.remarks
    assert f"{best} does best; over the other genres it is {found[least]:.3f}" in limits
    assert "no language model" in limits
