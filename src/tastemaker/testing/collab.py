"""A collaborative model -> the tests it must pass, and two datasets whose right answers can be checked by eye."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from tastemaker import artifacts
from tastemaker.collab import CollaborativeModel
from tastemaker.data import Case, Dataset, Split
from tastemaker.errors import ConfigError, DataError, NotFittedError, UsageError
from tastemaker.types import Item, Query

HAND = (
    *(("ann", "a", 1), ("ann", "b", 2), ("ann", "c", 3), ("ann", "d", 4)),
    *(("bob", "a", 1), ("bob", "b", 2), ("bob", "c", 3)),
    *(("cyd", "b", 1), ("cyd", "c", 2)),
    *(("dan", "e", 1), ("dan", "f", 2), ("dan", "e", 3), ("dan", "f", 4)),
)
"""Thirteen rows of (user, item, time): a, b, c, d follow one another, and so do e and f; nobody chose g."""
ITEMS = "abcdefg"


def split_of(rows: Sequence[tuple[str, str, int]], items: Sequence[str], valid: Sequence[Case] = ()) -> Split:
    """A split that trains on all of these rows of (user, item, time)."""
    frame = pl.DataFrame(list(rows), schema=["user_id", "item_id", "time"], orient="row")
    dataset = Dataset.from_frames(frame, pl.DataFrame({"item_id": list(items)}), name="made")
    return Split(dataset, "all", {}, dataset.interactions, tuple(valid), ())


def hand_split() -> Split:
    """`HAND` as a split."""
    return split_of(HAND, ITEMS)


def checkerboard(n: int = 50, *, seed: int = 0) -> Split:
    """Even users like even items and odd ones odd, each all but the item of their own number, which is the test."""
    rng = np.random.default_rng(seed)
    rows, cases = [], []
    for user in range(n):
        liked = [int(i) for i in rng.permutation(np.arange(user % 2, n, 2)) if i != user]
        rows += [(f"u{user:03}", f"i{item:03}", time) for time, item in enumerate(liked)]
        cases.append(Case(Query(history=tuple(Item(i) for i in liked)), Item(user)))
    split = split_of(rows, [f"i{item:03}" for item in range(n)])
    return replace(split, valid=tuple(cases[:5]), test=tuple(cases))


def asked(*histories: str) -> list[Query]:
    """One query per history, its items written as letters of `ITEMS`."""
    return [Query(history=tuple(Item(ITEMS.index(letter)) for letter in history)) for history in histories]


class CollaborativeModelContract:
    """What every `CollaborativeModel` keeps to.

    A subclass named ``Test...`` overrides the fixture ``make`` with the class, or a function that gives a fresh model;
    scope it to the class, or each test fits anew.
    """

    tolerance = 1e-4
    """How far scores in a batch may differ from scores one by one."""

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> type[CollaborativeModel]:
        """The model's class."""
        raise NotImplementedError("override the fixture `make`")

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, make: type[CollaborativeModel]) -> CollaborativeModel:
        """The model, fitted on `hand_split`."""
        return make().fit(hand_split())

    def test_scores_cover_the_catalogue_and_are_finite(self, fitted: CollaborativeModel) -> None:
        scores = fitted.score(asked("ab", "", "g", "efe"))
        assert scores.shape == (4, len(ITEMS))
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()

    def test_score_of_nothing_is_nothing(self, fitted: CollaborativeModel) -> None:
        assert fitted.score([]).shape == (0, len(ITEMS))
        assert fitted.score_candidates([]) == []

    def test_items_never_seen_score_below_all_others(self, fitted: CollaborativeModel) -> None:
        scores = fitted.score(asked("ab", "", "ef"))
        assert fitted.known_items.tolist() == [True] * 6 + [False]
        assert (scores[:, 6] < scores[:, :6].min(axis=1)).all()

    def test_unknown_history_items_are_skipped(self, fitted: CollaborativeModel) -> None:
        plain = Query(history=(Item(0), Item(1)))
        foreign = Query(history=(Item(6), Item(0), Item(700), Item(1), Item(-1)))
        np.testing.assert_array_equal(fitted.score([foreign]), fitted.score([plain]))

    def test_nobody_knows_better_than_popularity_about_an_empty_history(self, fitted: CollaborativeModel) -> None:
        for scores in fitted.score(asked("", "g")):
            ranked = np.argsort(-scores, kind="stable")
            assert ranked.tolist() == [1, 2, 0, 4, 5, 3, 6]

    def test_a_batch_scores_like_its_queries_one_by_one(self, fitted: CollaborativeModel) -> None:
        queries = asked("a", "abcd", "", "efefefefefefefefef", "fg", "dcba")
        single = np.concatenate([fitted.score([query]) for query in queries])
        np.testing.assert_allclose(fitted.score(queries), single, atol=self.tolerance)

    def test_candidate_scores_follow_the_order_shown(self, fitted: CollaborativeModel) -> None:
        queries = [replace(q, candidates=(Item(4), Item(2), Item(0))) for q in asked("ab", "ef")]
        queries[1] = replace(queries[1], candidates=(Item(3),))
        whole, parts = fitted.score(queries), fitted.score_candidates(queries)
        np.testing.assert_array_equal(parts[0], whole[0][[4, 2, 0]])
        np.testing.assert_array_equal(parts[1], whole[1][[3]])

    def test_what_followed_in_training_is_expected_next(self, fitted: CollaborativeModel) -> None:
        if not fitted.personal:
            pytest.skip("gives everybody the same scores")
        for history, following in (("ab", "c"), ("abc", "d"), ("e", "f"), ("fe", "f")):
            scores = fitted.score(asked(history))[0]
            unseen = [letter for letter in ITEMS if letter not in history or letter == following]
            assert max(unseen, key=lambda letter: scores[ITEMS.index(letter)]) == following, history

    def test_the_withheld_diagonal_of_a_checkerboard_is_found(self, make: type[CollaborativeModel]) -> None:
        split, model = checkerboard(), make()
        if not model.personal:
            pytest.skip("gives everybody the same scores")
        scores = model.fit(split).score([case.query for case in split.test])
        for row, case in zip(scores, split.test, strict=True):
            row[list(case.query.history)] = -np.inf
        assert (scores.argmax(axis=1) == [case.positive for case in split.test]).sum() == len(split.test)

    def test_same_seed_same_scores_and_no_global_generator_is_touched(
        self, make: type[CollaborativeModel], fitted: CollaborativeModel
    ) -> None:
        before = torch.random.get_rng_state(), _numpy_state()
        again = make().fit(hand_split(), seed=0)
        assert torch.equal(before[0], torch.random.get_rng_state())
        assert before[1] == _numpy_state()
        np.testing.assert_array_equal(again.score(asked("ab", "e")), fitted.score(asked("ab", "e")))

    def test_a_second_fit_forgets_the_first(self, make: type[CollaborativeModel], fitted: CollaborativeModel) -> None:
        twice = make().fit(checkerboard(10)).fit(hand_split())
        np.testing.assert_array_equal(twice.score(asked("ab", "e", "")), fitted.score(asked("ab", "e", "")))

    def test_a_saved_model_scores_as_before(
        self, make: type[CollaborativeModel], fitted: CollaborativeModel, tmp_path: Path
    ) -> None:
        artifacts.save(tmp_path / "model", kind="collab", arrays={"state": fitted.state()})
        config = type(fitted.config).model_validate_json(fitted.config.model_dump_json())
        loaded = type(fitted)(config)
        loaded.restore(artifacts.load(tmp_path / "model", "collab").arrays("state"))
        np.testing.assert_array_equal(loaded.score(asked("ab", "fe", "")), fitted.score(asked("ab", "fe", "")))
        np.testing.assert_array_equal(loaded.known_items, fitted.known_items)
        for name, array in loaded.state().items():
            np.testing.assert_array_equal(array, fitted.state()[name])

    def test_state_is_a_copy_or_may_not_be_changed(self, fitted: CollaborativeModel) -> None:
        before = fitted.score(asked("ab"))
        for array in fitted.state().values():
            with contextlib.suppress(ValueError):
                array[...] = 0
        np.testing.assert_array_equal(fitted.score(asked("ab")), before)

    def test_item_vectors_are_zero_where_unknown(self, fitted: CollaborativeModel) -> None:
        try:
            vectors = fitted.item_vectors
        except UsageError:
            return
        assert vectors.shape[0] == len(ITEMS)
        assert vectors.dtype == np.float32
        assert (np.abs(vectors).sum(axis=1) > 0).tolist() == fitted.known_items.tolist()

    def test_progress_ends_where_it_said_it_would(self, make: type[CollaborativeModel]) -> None:
        last: dict[str, tuple[float, float | None]] = {}

        def note(task: str, done: float, total: float | None = None, note: str = "") -> None:
            last[task] = done, total

        make().fit(hand_split(), progress=note)
        assert all(done == total for done, total in last.values())

    def test_an_unfitted_model_says_so(self, make: type[CollaborativeModel]) -> None:
        with pytest.raises(NotFittedError, match="call fit"):
            make().score(asked("a"))
        with pytest.raises(NotFittedError, match="call fit"):
            make().state()
        with pytest.raises(NotFittedError, match="call fit"):
            _ = make().known_items

    def test_a_wrong_setting_is_one_clear_line(self, make: type[CollaborativeModel]) -> None:
        with pytest.raises(ConfigError, match="has no setting 'no_such_setting'"):
            make(no_such_setting=1)
        with pytest.raises(ConfigError, match="not both"):
            make(make().config, no_such_setting=1)

    def test_nothing_to_learn_from_is_an_error(self, make: type[CollaborativeModel]) -> None:
        split = hand_split()
        with pytest.raises(DataError, match="no training interactions"):
            make().fit(replace(split, train=split.train.clear()))


def _numpy_state() -> list[int]:
    """Numpy's global generator, which nobody here may touch."""
    state: Any = np.random.get_state()
    return [int(word) for word in state[1]]
