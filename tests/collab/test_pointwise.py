"""Every model of yes/no questions keeps to the contract; the rates are what one counts by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tastemaker import artifacts, collab
from tastemaker.collab import pointwise
from tastemaker.collab.pointwise import PointwiseModel
from tastemaker.errors import ArtifactError, ConfigError
from tastemaker.testing.pointwise import PointwiseModelContract, asked, auc, tastes_split
from tastemaker.types import Item, Query, User

COUNTING = ("attribute-rate", "item-rate", "like-share", "liked-count", "user-item-rate")


class TestCounting(PointwiseModelContract):
    @pytest.fixture(scope="class", params=COUNTING)
    @classmethod
    def make(cls, request: pytest.FixtureRequest) -> type[PointwiseModel]:
        return pointwise.models.get(request.param)


def odds(likes: float, rows: float) -> float:
    """Five rows at the overall rate are added: 59 likes in 77 train rows."""
    share = (likes + 5 * 59 / 77) / (rows + 5)
    return float(np.log(share / (1 - share)))


MEAN = float(np.log(59 / 18))
"""Eleven people like five items each, and two of them also the other two."""


def test_the_item_rate_is_counted_and_smoothed() -> None:
    model = pointwise.models.get("item-rate")().fit(tastes_split())
    found = model.score([Query((), (Item(0), Item(5), Item(9)))])[0]
    assert found == pytest.approx([odds(11, 11), odds(2, 11), MEAN], abs=1e-5)


def test_the_users_rate_comes_from_train_or_from_the_query() -> None:
    trained = pointwise.models.get("user-item-rate")().fit(tastes_split())
    told = pointwise.models.get("user-item-rate")(users="history").fit(tastes_split())
    query = Query((Item(0), Item(1), Item(2)), (Item(5),), User(0), likes=(False, False, True))
    assert trained.score([query])[0][0] == pytest.approx(odds(2, 11) + odds(7, 7) - MEAN, abs=1e-5)
    assert told.score([query])[0][0] == pytest.approx(odds(2, 11) + odds(1, 3) - MEAN, abs=1e-5)


def test_the_like_share_is_read_off_the_prompt() -> None:
    alone = pointwise.models.get("like-share")().fit(tastes_split())
    query = Query((Item(0), Item(1), Item(2), Item(3)), (Item(5),), likes=(True, False, True, True))
    assert alone.score([query])[0][0] == pytest.approx(np.log(3), abs=1e-5)
    assert alone.score([Query((), (Item(5),))])[0][0] == pytest.approx(MEAN, abs=1e-5)
    whole = Query((Item(0),), (Item(5),), likes=(True,))
    assert alone.score([whole])[0][0] == pytest.approx(np.log(0.99 / 0.01), abs=1e-4)
    both = pointwise.models.get("like-share")(items="rate").fit(tastes_split())
    assert both.score([query])[0][0] == pytest.approx(np.log(3) + odds(2, 11) - MEAN, abs=1e-5)


def test_attributes_speak_for_items_nobody_rated() -> None:
    split = tastes_split()
    told = pl.DataFrame(
        {
            "item_id": split.dataset.items["item_id"],
            "year": [1990, 1990, 1991, 1990, 1990, 2010, 2010, 2010, 1990, 2010],
            "genres": [["a"]] * 9 + [["b", "a"]],
        }
    )
    split = replace(split, dataset=split.dataset.of_items(told))
    model = pointwise.models.get("attribute-rate")().fit(split)
    found = model.score([Query((), tuple(map(Item, range(10))))])[0]
    # Items 5 and 6 are the only ones of their time that training shows: 4 of 22 rows were likes.
    rate = (4 + 20 * 59 / 77) / (22 + 20)
    assert found[7] == pytest.approx(np.log(rate / (1 - rate)), abs=1e-4)
    assert found[8] == found[0] > MEAN > found[7]
    assert found[0] > found[2] > MEAN, "a year apart is alike, but less"
    # A genre that no row has says nothing; the one all rows have is the overall rate.
    assert found[9] == pytest.approx(found[7], abs=1e-4)
    outside = model.score([Query((), (Item(700),))])[0]
    assert outside == pytest.approx([MEAN], abs=1e-5)


def test_counting_knows_who_is_generous() -> None:
    split = tastes_split()
    assert auc(pointwise.models.get("item-rate")().fit(split), split.test) == 0.5  # the items are new
    assert auc(pointwise.models.get("user-item-rate")().fit(split), split.test) == 1.0
    assert auc(pointwise.models.get("like-share")().fit(split), split.test) == 1.0


def test_popularity_is_an_order_and_no_probability() -> None:
    model = pointwise.models.get("liked-count")().fit(tastes_split())
    assert not model.probabilities
    assert model.score([Query((), (Item(0), Item(5), Item(9)))])[0] == pytest.approx(np.log1p([11, 2, 0]), abs=1e-6)


def test_a_rate_must_be_smoothed() -> None:
    with pytest.raises(ConfigError, match="smoothing"):
        pointwise.models.get("item-rate")(smoothing=0)


@pytest.mark.parametrize("change", [{"items": np.zeros(3)}, {"item_counts": np.zeros(10, np.int32)}, {"items": None}])
def test_arrays_that_do_not_fit_are_refused(change: dict[str, object], tmp_path: object) -> None:
    config, arrays = collab.packed(pointwise.models.get("item-rate")().fit(tastes_split()))
    arrays = {name: array for name, array in (arrays | change).items() if array is not None}  # type: ignore[operator]
    with pytest.raises(ArtifactError, match=r"do not fit|save it again"):
        collab.unpacked_pointwise(config, arrays)


def test_a_ranking_model_is_no_model_of_questions(tmp_path) -> None:  # type: ignore[no-untyped-def]
    collab.save_model(tmp_path / "model", pointwise.models.get("item-rate")().fit(tastes_split()))
    with pytest.raises(ArtifactError):
        collab.load_model(tmp_path / "model")
    assert artifacts.load(tmp_path / "model", "pointwise-model")
    assert len(asked()) == 4
