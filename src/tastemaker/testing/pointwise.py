"""A model of yes/no questions -> the tests it must pass, and a split whose right answers can be checked by eye."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tastemaker import collab
from tastemaker.collab.pointwise import PointwiseModel
from tastemaker.data import Dataset, Judgement, PreferenceSplit
from tastemaker.data.preference import labels
from tastemaker.errors import ConfigError, DataError, NotFittedError, UsageError
from tastemaker.types import Item, Query, User

N_USERS, N_ITEMS = 12, 10
START, MONTH = 1_577_836_800, 31 * 86_400


def tastes_split() -> PreferenceSplit:
    """Items 0 to 4 please everybody, the others nobody, but users 0 and 1 like all; user 11 and item 9 come later.

    Users rate item i in month i. Months 0 to 6 train, 7 is valid, 8 and 9 test. Histories show all labels.
    """
    rows = [
        (f"u{u:02}", f"i{i}", 5 if i < 5 or u < 2 else 1, START + i * MONTH + u)
        for u in range(N_USERS)
        for i in range(N_ITEMS)
        if (u, i) not in {(11, early) for early in range(8)}
    ]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "time"], orient="row")
    items = pl.DataFrame({"item_id": [f"i{i}" for i in range(N_ITEMS)]})
    split = Dataset.from_frames(frame, items, name="tastes").split(
        "time", train_months=7, valid_months=1, test_months=2, skip_last=0, history="all"
    )
    assert isinstance(split, PreferenceSplit)
    return split


def asked() -> list[Query]:
    """Of a known user, of one who never came, of one that cannot be, and of nobody; known and unknown items."""
    known, unknown = Item(3), Item(9)
    return [
        Query((known,), (Item(0), unknown), User(2), likes=(True,)),
        Query((), (Item(6),), User(11)),
        Query((unknown,), (Item(1), Item(2), Item(3)), User(700), likes=(False,)),
        Query((known, Item(5)), (), None, likes=(True, False)),
    ]


class PointwiseModelContract:
    """What every `PointwiseModel` keeps to; a subclass overrides the fixture ``make`` with its class."""

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> type[PointwiseModel]:
        """The model's class, or a function that gives a fresh model."""
        raise NotImplementedError("override the fixture `make`")

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, make: type[PointwiseModel]) -> PointwiseModel:
        """The model, fitted on `tastes_split`."""
        return make().fit(tastes_split())

    def test_scores_are_finite_and_follow_the_candidates(self, fitted: PointwiseModel) -> None:
        scores = fitted.score(asked())
        assert [row.shape for row in scores] == [(2,), (1,), (3,), (0,)]
        assert all(row.dtype == np.float32 and np.isfinite(row).all() for row in scores)
        turned = [replace(query, candidates=query.candidates[::-1]) for query in asked()]
        for row, other in zip(scores, fitted.score(turned), strict=True):
            np.testing.assert_allclose(row, other[::-1], atol=1e-5)
        assert fitted.score([]) == []

    def test_a_batch_scores_like_its_queries_one_by_one(self, fitted: PointwiseModel) -> None:
        for row, query in zip(fitted.score(asked()), asked(), strict=True):
            np.testing.assert_allclose(row, fitted.score([query])[0], atol=1e-5)

    def test_what_training_never_saw_is_not_known(self, fitted: PointwiseModel) -> None:
        assert fitted.known_items.tolist() == [True] * 7 + [False] * 3
        assert fitted.known_users.tolist() == [True] * 11 + [False]
        stranger, nobody = Query((), (Item(8), Item(9)), User(11)), Query((), (Item(8), Item(9)))
        np.testing.assert_array_equal(fitted.score([stranger])[0], fitted.score([nobody])[0])
        assert np.ptp(fitted.score([nobody])[0]) < 1e-6  # two items nobody knows are alike

    def test_vectors_are_zero_where_unknown(self, fitted: PointwiseModel) -> None:
        try:
            items, users = fitted.item_vectors, fitted.user_vectors(asked())
        except UsageError:
            return
        assert items.shape[0] == N_ITEMS
        assert (np.abs(items).sum(axis=1) > 0).tolist() == fitted.known_items.tolist()
        assert users.shape[0] == len(asked())
        assert (np.abs(users).sum(axis=1) > 0).tolist() == fitted.knows(asked()).tolist()

    def test_same_seed_same_scores_and_a_second_fit_forgets_the_first(
        self, make: type[PointwiseModel], fitted: PointwiseModel
    ) -> None:
        split = tastes_split()
        turned = replace(split, train=tuple(replace(row, liked=not row.liked) for row in split.train))
        again = make().fit(turned, seed=0).fit(split, seed=0)
        for row, other in zip(again.score(asked()), fitted.score(asked()), strict=True):
            np.testing.assert_array_equal(row, other)

    def test_a_saved_model_scores_as_before(self, fitted: PointwiseModel, tmp_path: Path) -> None:
        collab.save_model(tmp_path / "model", fitted)
        loaded = collab.load_pointwise(tmp_path / "model")
        assert type(loaded) is type(fitted)
        for row, other in zip(loaded.score(asked()), fitted.score(asked()), strict=True):
            np.testing.assert_array_equal(row, other)
        np.testing.assert_array_equal(loaded.known_users, fitted.known_users)
        for array in fitted.state().values():
            with contextlib.suppress(ValueError):
                array[...] = 0
        np.testing.assert_array_equal(fitted.score(asked())[0], loaded.score(asked())[0])

    def test_to_a_model_without_users_everybody_is_a_stranger(self, fitted: PointwiseModel) -> None:
        bare = fitted.without_users()
        assert not bare.known_users.any()
        for name, array in bare.state().items():
            if name.split(".")[0] in ("users", "user_counts"):
                assert not np.ptp(array, axis=0).any()
        nobody = [replace(query, user=None) for query in asked()]
        for row, other in zip(bare.score(asked()), fitted.score(nobody), strict=True):
            np.testing.assert_allclose(row, other, atol=1e-6)

    def test_one_kind_of_answer_only_is_refused(self, make: type[PointwiseModel]) -> None:
        split = tastes_split()
        liked: tuple[Judgement, ...] = tuple(row for row in split.train if row.liked)
        with pytest.raises(DataError, match="only liked training rows"):
            make().fit(replace(split, train=liked))
        with pytest.raises(DataError, match="no training rows"):
            make().fit(replace(split, train=()))

    def test_an_unfitted_model_says_so(self, make: type[PointwiseModel]) -> None:
        for use in (lambda: make().score(asked()), lambda: make().state(), lambda: make().known_users):
            with pytest.raises(NotFittedError, match="call fit"):
                use()
        wrong: dict[str, Any] = {"no_such_setting": 1}
        with pytest.raises(ConfigError, match="has no setting 'no_such_setting'"):
            make(**wrong)


def auc(model: PointwiseModel, rows: tuple[Judgement, ...]) -> float:
    """The share of pairs of a liked and a disliked row that the model puts in order, half for a tie."""
    scores, liked = np.concatenate(model.score([row.query for row in rows])), labels(rows)
    gaps = scores[liked][:, None] - scores[~liked]
    return float(np.mean((gaps > 0) + 0.5 * (gaps == 0)))
