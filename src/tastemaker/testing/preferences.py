"""A method that answers yes or no -> the tests it must pass, on a small made-up world of films."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tastemaker.collab.pointwise import PointwiseModel
from tastemaker.collab.pointwise.mf import MF
from tastemaker.data import Dataset, PreferenceSplit
from tastemaker.errors import ConfigError, DataError, UsageError
from tastemaker.methods._preference import PreferenceMethod
from tastemaker.testing.methods import ODD_TITLES
from tastemaker.testing.tuned import Make, TunedContract
from tastemaker.types import Item, Query, User

START, DAY, MONTH = 1_577_836_800, 86_400, 31 * 86_400
GOOD, BAD = 12, 12
N_ITEMS = GOOD + BAD + len(ODD_TITLES)


@cache
def opinions(history: str = "all", n_users: int = 24) -> PreferenceSplit:
    """Good films please everybody, bad ones nobody, but every fifth answer is the other way round; odd titles too.

    Users rate three films a month on one day, two of them in the same second, for eight months.
    """
    rng = np.random.default_rng(0)
    rows = []
    for user in range(n_users):
        for at, item in enumerate(rng.permutation(N_ITEMS)[:24].tolist()):
            good = item < GOOD or (item >= GOOD + BAD and item % 2 == 0)
            liked = good != (rng.random() < 0.2)
            time = START + at // 3 * MONTH + user * 60 + (at % 3 == 2) * 7
            rows.append((f"u{user}", f"i{item}", 5 if liked else 2, time))
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "time"], orient="row")
    titles = [*(f"Good {k} (1990)" for k in range(GOOD)), *(f"Bad {k} (1990)" for k in range(BAD)), *ODD_TITLES]
    items = pl.DataFrame({"item_id": [f"i{item}" for item in range(N_ITEMS)], "title": titles})
    settings = {"train_months": 5, "valid_months": 1, "test_months": 2, "skip_last": 0, "history": history}
    split = Dataset.from_frames(frame, items, name="opinions").split("time", **settings)
    if not isinstance(split, PreferenceSplit):
        raise TypeError("the split time asks yes/no questions")
    return split


@cache
def encoder() -> PointwiseModel:
    """A small MF fitted on `opinions`."""
    return MF(embedding_size=8, epochs=5, biases=True).fit(opinions())


def asked(n: int = 8) -> list[Query]:
    """Test questions, a stranger's, one without history, and one about several items."""
    queries = [row.query for row in opinions().test[:n]]
    queries[1] = replace(queries[1], user=None)
    queries[2] = replace(queries[2], history=(), likes=())
    queries[3] = replace(queries[3], candidates=tuple(map(Item, range(0, N_ITEMS, 5))))
    return queries


class PreferenceMethodContract(TunedContract):
    """What every `PreferenceMethod` keeps to; a subclass overrides the fixture ``make``."""

    tolerance = 1e-3

    @staticmethod
    def split() -> PreferenceSplit:
        """See `TunedContract`."""
        return opinions()

    @staticmethod
    def queries() -> list[Query]:
        """See `TunedContract`."""
        return asked()

    def test_scores_follow_the_candidates(self, tuned: PreferenceMethod) -> None:
        scores = tuned.score(asked())
        assert [row.shape for row in scores] == [(len(query.candidates),) for query in asked()]
        assert all(row.dtype == np.float32 and np.isfinite(row).all() for row in scores)
        assert tuned.score([]) == []
        turned = [replace(query, candidates=query.candidates[::-1]) for query in asked()]
        for row, other in zip(scores, tuned.score(turned), strict=True):
            np.testing.assert_allclose(row, other[::-1], atol=self.tolerance)

    def test_who_else_is_asked_changes_nothing(self, tuned: PreferenceMethod) -> None:
        for row, query in zip(tuned.score(asked()), asked(), strict=True):
            np.testing.assert_allclose(tuned.score([query])[0], row, atol=self.tolerance)

    def test_history_that_nobody_knows_is_passed_over(self, tuned: PreferenceMethod) -> None:
        query = asked()[0]
        foreign = replace(
            query,
            history=(Item(N_ITEMS), *query.history, Item(-1)),
            likes=(True, *query.likes, False),
            user=User(10**6),
        )
        plain = replace(query, user=User(10**6))
        np.testing.assert_allclose(tuned.score([foreign])[0], tuned.score([plain])[0], atol=self.tolerance)

    def test_the_history_tells_the_language_model(self, tuned: PreferenceMethod) -> None:
        query = tuned.known(asked()[0])
        both = tuned.reading.score([query, replace(query, history=(), likes=())], shown=True)
        assert np.abs(both[0] - both[1]).max() > 1e-4

    def test_the_catalogue_is_scored_where_nothing_is_asked(self, tuned: PreferenceMethod) -> None:
        (scores,) = tuned.score([Query(asked()[0].history)])
        assert scores.shape == (N_ITEMS,)

    def test_a_candidate_that_is_no_item_is_refused(self, tuned: PreferenceMethod) -> None:
        for nothing in (N_ITEMS, -1):
            with pytest.raises(UsageError, match=f"candidate {nothing} is no item"):
                tuned.score([replace(asked()[0], candidates=(Item(0), Item(nothing)))])

    def test_a_history_may_hold_what_is_asked_about(self, tuned: PreferenceMethod) -> None:
        query = asked()[0]
        shown = replace(query, history=(*query.history, query.candidates[0]), likes=(*query.likes, False))
        (scores,) = tuned.score([shown])
        assert np.isfinite(scores).all()

    @pytest.mark.parametrize("kept", [0, 1])
    def test_without_validation_of_both_kinds_nothing_is_chosen(self, make: Make, base: Path, kept: int) -> None:
        valid = tuple(row for row in opinions().valid if row.liked)[:kept]
        method = make(str(base)).tune(replace(opinions(), valid=valid))
        assert method.shown
        assert method.fusion.weights == (1.0, *(0.0,) * len(method.witnesses))
        assert all(np.isfinite(row).all() for row in method.score(asked()))

    def test_one_kind_of_answer_only_is_refused(self, make: Make, base: Path) -> None:
        liked = tuple(row for row in opinions().train if row.liked)
        with pytest.raises(DataError, match="both kinds"):
            make(str(base)).tune(replace(opinions(), train=liked))

    def test_answers_that_begin_alike_are_refused(self, make: Make, base: Path) -> None:
        with pytest.raises(ConfigError, match="same token"):
            make(str(base), answers=("Yes", "Yes.")).tune(opinions())

    def test_a_wrong_setting_is_one_clear_line(self, make: Make) -> None:
        with pytest.raises(ConfigError, match="no_such_setting: no such setting") as refused:
            make("none", no_such_setting=1)
        assert "\n" not in str(refused.value)
