from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tastemaker.evaluate import significance


@pytest.mark.parametrize(("hits", "n"), [(0, 95), (42, 95), (95, 95), (1, 2), (400, 943)])
def test_wilson_equals_scipy(hits: int, n: int) -> None:
    theirs = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert significance.wilson(hits, n) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_wilson_of_the_papers_movielens_figure() -> None:
    assert significance.wilson(42, 95) == pytest.approx((0.346, 0.542), abs=5e-4)


def test_wilson_of_nothing_says_nothing() -> None:
    assert significance.wilson(0, 0) == (0.0, 1.0)


def test_bootstrap_of_a_mean_is_close_to_the_normal_interval() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=400)
    [interval] = significance.bootstrap(values[:, None], np.ones(400), rng)
    half = 1.96 * values.std() / 20
    assert interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)


def test_bootstrap_draws_users_whole() -> None:
    """100 users, each 50 times the same outcome: as sure as 100 cases, not as 5,000."""
    rng = np.random.default_rng(0)
    users = (np.arange(100) < 40).astype(float)
    [wide] = significance.bootstrap(users[:, None] * 50, np.full(100, 50.0), rng)
    [plain] = significance.bootstrap(users[:, None], np.ones(100), rng)
    assert wide == pytest.approx(plain, abs=0.02)
    assert wide.high - wide.low > 0.15


def test_bootstrap_weighs_users_by_their_cases() -> None:
    counts = np.array([9.0] * 50 + [1.0] * 50)
    totals = np.where(counts == 9, counts, 0.0)[:, None]
    [interval] = significance.bootstrap(totals, counts, np.random.default_rng(0))
    assert 0.85 < interval.low < 0.9 < interval.high < 0.95
    [same] = significance.bootstrap(counts[:, None] * 0.3, counts, np.random.default_rng(0))
    assert same == pytest.approx((0.3, 0.3))


def test_bootstrap_covers_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(300):
        sample = (rng.random(100) < 0.4).astype(float)
        [interval] = significance.bootstrap(sample[:, None], np.ones(100), rng, resamples=500)
        covered += interval.low <= 0.4 <= interval.high
    assert 0.90 <= covered / 300 <= 0.985


def test_bootstrap_in_chunks_uses_every_resample(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(50, 3))
    monkeypatch.setattr(significance, "_CHUNK", 170)
    chunked = significance.bootstrap(values, np.ones(50), np.random.default_rng(1), resamples=1000)
    monkeypatch.undo()
    whole = significance.bootstrap(values, np.ones(50), np.random.default_rng(1), resamples=1000)
    assert np.allclose(chunked, whole, atol=1e-12)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (5, 0), (12, 4), (4, 12), (50, 50)])
def test_mcnemar_is_the_binomial_test_of_the_users_who_differ(only_a: int, only_b: int) -> None:
    a = np.array([1.0] * only_a + [0.0] * only_b + [1.0] * 7 + [0.0] * 9)
    b = np.array([0.0] * only_a + [1.0] * only_b + [1.0] * 7 + [0.0] * 9)
    n = only_a + only_b
    expected = 1.0 if n == 0 else min(1.0, 2 * stats.binom.cdf(min(only_a, only_b), n, 0.5))
    assert significance.mcnemar(a, b) == pytest.approx(expected)


def test_sign_flip_of_few_users_is_exact() -> None:
    rng = np.random.default_rng(0)
    assert significance.sign_flip(np.ones(5), rng) == 2 / 32
    assert significance.sign_flip(np.zeros(5), rng) == 1.0
    deltas = np.array([0.3, -0.1, 0.25, 0.0, 0.4, 0.05])
    theirs = stats.permutation_test((deltas,), np.sum, permutation_type="samples", vectorized=True)
    assert significance.sign_flip(deltas, rng) == pytest.approx(theirs.pvalue)


def test_sign_flip_of_many_users_agrees_with_the_t_test() -> None:
    rng = np.random.default_rng(0)
    for shift in (0.0, 0.08, 0.2):
        deltas = rng.normal(shift, 1, size=400)
        assert significance.sign_flip(deltas, rng) == pytest.approx(stats.ttest_1samp(deltas, 0).pvalue, abs=0.02)
    assert 0 < significance.sign_flip(rng.normal(5, 1, size=400), rng) < 2e-4


def test_holm_by_hand() -> None:
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert significance.holm([0.5, 0.9]) == [1.0, 1.0]
    assert significance.holm([]) == []
