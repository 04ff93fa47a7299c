"""Candidate lists hold one positive at a uniform place, honest negatives, and never change."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from tastemaker.data import CandidateSet, Case
from tastemaker.data.candidates import expected_hit, expected_hits
from tastemaker.errors import ArtifactError, UsageError
from tastemaker.types import Item, Query


def case(positive: int, *history: int) -> Case:
    return Case(Query(tuple(Item(i) for i in history)), Item(positive))


CASES = [case(0, 1, 2, 3), case(9, 8, 7, 7), case(4)]


@settings(max_examples=150)
@given(
    cases=st.lists(st.lists(st.integers(0, 39), min_size=1, max_size=15, unique=True), min_size=1, max_size=5),
    n=st.integers(2, 25),
    seed=st.integers(0, 2**32),
)
def test_lists_are_honest(cases: list[list[int]], n: int, seed: int) -> None:
    drawn = CandidateSet.draw([case(*c) for c in cases], 40, n=n, draws=3, seed=seed)
    assert drawn.items.shape == (3, len(cases), n)
    for draw in drawn.items.tolist():
        for shown, (positive, *history) in zip(draw, cases, strict=True):
            assert len(set(shown)) == n
            assert shown.count(positive) == 1
            assert set(shown).isdisjoint(history)
            assert all(0 <= item < 40 for item in shown)


def test_the_place_of_the_positive_and_the_negatives_are_uniform() -> None:
    drawn = CandidateSet.draw(CASES, 30, n=5, draws=4000, seed=1)
    assert chisquare(np.bincount(drawn.slots.ravel(), minlength=5)).pvalue > 0.001
    for at, (positive, excluded) in enumerate([(0, {0, 1, 2, 3}), (9, {7, 8, 9}), (4, {4})]):
        counts = np.bincount(drawn.items[:, at].ravel(), minlength=30)
        assert counts[positive] == 4000
        allowed = [i for i in range(30) if i not in excluded]
        assert counts[allowed].sum() == 4000 * 4
        assert chisquare(counts[allowed]).pvalue > 0.001


def test_every_slot_shows_every_negative() -> None:
    drawn = CandidateSet.draw([case(0, 1)], 6, n=3, draws=6000, seed=2)
    first = drawn.items[:, 0, 0]
    assert chisquare(np.bincount(first[first != 0], minlength=6)[2:]).pvalue > 0.001


def test_only_the_window_is_spared_when_asked() -> None:
    long = [case(20, *range(20))]
    spared = CandidateSet.draw(long, 25, n=5, draws=200)
    windowed = CandidateSet.draw(long, 25, n=5, draws=200, exclude="window", window=3)
    assert set(spared.items.ravel().tolist()) == {20, 21, 22, 23, 24}
    assert set(windowed.items.ravel().tolist()) == set(range(25)) - {17, 18, 19}
    assert "last 3" in windowed.rule


def test_the_same_seed_gives_the_same_lists_and_more_draws_only_add() -> None:
    many, few = (CandidateSet.draw(CASES, 30, n=6, draws=d, seed=5) for d in (7, 2))
    assert np.array_equal(many.first(2).items, few.items)
    assert many.first(2).hash == few.hash != many.hash
    assert few.hash != CandidateSet.draw(CASES, 30, n=6, draws=2, seed=6).hash


def test_queries_carry_the_candidates_of_their_draw() -> None:
    drawn = CandidateSet.draw(CASES, 30, n=6, draws=2)
    queries = drawn.queries(CASES, 1)
    assert [q.candidates for q in queries] == [tuple(row) for row in drawn.items[1].tolist()]
    assert queries[0].history == CASES[0].query.history
    with pytest.raises(UsageError, match="drawn for other cases"):
        drawn.queries(CASES[::-1])


def test_impossible_lists_are_refused() -> None:
    with pytest.raises(UsageError, match="case 0 leaves 26 items to draw 27 negatives"):
        CandidateSet.draw(CASES, 30, n=28)
    with pytest.raises(UsageError, match="need n >= 2"):
        CandidateSet.draw(CASES, 30, n=1)
    with pytest.raises(UsageError, match="'all' is not known"):
        CandidateSet.draw(CASES, 30, exclude="all")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="has 1 draws"):
        CandidateSet.draw(CASES, 30).first(2)


def test_saved_then_loaded_is_identical_and_damage_is_seen(tmp_path: Path) -> None:
    drawn = CandidateSet.draw(CASES, 30, n=6, draws=3, seed=2**40)
    file = tmp_path / "lists.parquet"
    drawn.save(file)
    back = CandidateSet.load(file)
    assert (back.hash, back.seed, back.rule) == (drawn.hash, drawn.seed, drawn.rule)
    assert np.array_equal(back.items, drawn.items)
    about = pl.read_parquet_metadata(file)
    pl.read_parquet(file).reverse().write_parquet(file, metadata={k: about[k] for k in ("seed", "rule", "hash")})
    with pytest.raises(ArtifactError, match="do not match their hash"):
        CandidateSet.load(file)
    for content in (b"", b"PAR1 no", file.read_bytes()[:-30]):
        file.write_bytes(content)
        with pytest.raises(ArtifactError):
            CandidateSet.load(file)
    with pytest.raises(ArtifactError):
        CandidateSet.load(tmp_path / "none.parquet")


@settings(max_examples=60)
@given(st.integers(3, 12), st.integers(2, 6), st.integers(0, 2**32))
def test_the_expected_hit_is_the_share_of_all_draws(n_items: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cases = []
    for _ in range(3):
        order = rng.permutation(n_items).tolist()
        cases.append(case(order[-1], *order[: rng.integers(1, n_items - 1)]))
    scores = rng.permuted(np.tile(np.arange(n_items, dtype=np.float32), (3, 1)), axis=1)
    slow = []
    for row, asked in zip(scores, cases, strict=True):
        pool = [i for i in range(n_items) if i != asked.positive and i not in asked.query.history]
        lists = list(combinations(pool, min(n - 1, len(pool))))
        slow.append(np.mean([all(row[asked.positive] > row[i] for i in shown) for shown in lists]))
    assert expected_hits(scores, cases, n).tolist() == pytest.approx(slow)
    assert [expected_hit(row, asked, n) for row, asked in zip(scores, cases, strict=True)] == pytest.approx(slow)


def test_a_tie_is_half_a_hit() -> None:
    assert expected_hit(np.array([9, 1, 1], dtype=np.float32), case(1, 0), 2) == 0.5
