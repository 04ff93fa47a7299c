"""A saved collaborative model scores as before, whatever it is; anything that does not fit is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import films_split

from tastemaker import artifacts, collab
from tastemaker.collab.base import CollaborativeModel
from tastemaker.errors import ArtifactError, NotFittedError
from tastemaker.types import Query

SMALL = {
    "sasrec": {"embedding_size": 8, "epochs": 1},
    "gru4rec": {"embedding_size": 8, "epochs": 1},
    "caser": {"embedding_size": 8, "epochs": 1},
    "ensemble": {"members": ["cooccurrence", "popularity"], "settings": {"cooccurrence": {"window": 3}}},
}
SPLIT = films_split()
QUERIES = [Query(history=(3, 4, 5)), Query(history=()), SPLIT.test[0].query]  # type: ignore[arg-type]


def fitted(name: str) -> CollaborativeModel:
    return collab.models.get(name)(**SMALL.get(name, {})).fit(SPLIT)


@pytest.mark.parametrize("name", collab.models.names())
def test_every_model_scores_the_same_after_saving_and_loading(name: str, tmp_path: Path) -> None:
    model = fitted(name)
    collab.save_model(tmp_path / "model", model)
    loaded = collab.load_model(tmp_path / "model")
    assert type(loaded) is type(model)
    assert loaded.config == model.config
    assert np.array_equal(loaded.score(QUERIES), model.score(QUERIES))


def test_a_model_can_be_a_part_of_something_larger(tmp_path: Path) -> None:
    model = fitted("popularity")
    config, arrays = collab.packed(model)
    path = tmp_path / "whole"
    artifacts.save(path, kind="whole", json={"collab/config": config}, arrays={"collab/model": arrays})
    found = artifacts.load(path, "whole")
    again = collab.unpacked(found.json("collab/config"), found.arrays("collab/model"), path)
    assert np.array_equal(again.score(QUERIES), model.score(QUERIES))


def test_what_has_learned_nothing_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        collab.save_model(tmp_path / "model", collab.models.get("popularity")())
    assert not (tmp_path / "model").exists()


def broken(change: Any) -> tuple[Any, dict[str, np.ndarray[Any, Any]]]:
    config, arrays = collab.packed(fitted("cooccurrence"))
    change(config, arrays)
    return config, arrays


def out_of_range(config: Any, arrays: Any) -> None:
    arrays["indices"] = arrays["indices"].copy()
    arrays["indices"][0] = 10**6


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c, a: c.update(name="os"), "no collaborative model named 'os'"),
        (lambda c, a: c.update(name="../sasrec"), "not a model that this version knows"),
        (lambda c, a: c.update(settings={"window": -1}), "window"),
        (lambda c, a: c.update(settings={"widow": 3}), "did you mean 'window'"),
        (lambda c, a: c.update(more=1), "not a model"),
        (lambda c, a: c.update(n_items=31), "31 items"),
        (lambda c, a: a.update(item_counts=np.zeros(30, np.int32)), "counts"),
        (lambda c, a: a.update(item_counts=-np.ones(30, np.int32)), "counts"),
        (lambda c, a: a.update(item_counts=np.ones((30, 2), np.int32)), "counts"),
        (lambda c, a: a.pop("item_counts"), "counts"),
        (lambda c, a: a.pop("indptr"), "do not fit"),
        (out_of_range, "do not fit"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: Any, told: str) -> None:
    config, arrays = broken(change)
    with pytest.raises(ArtifactError, match=told) as caught:
        collab.unpacked(config, arrays, "runs/a")
    assert str(caught.value).startswith("runs/a: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weights", [np.full(30, np.nan), np.ones(29), np.ones((30, 2)), np.ones(1)])
def test_scores_that_are_none_are_refused(weights: np.ndarray[Any, Any]) -> None:
    config, arrays = collab.packed(fitted("popularity"))
    with pytest.raises(ArtifactError, match=r"save it again|do not fit"):
        collab.unpacked(config, arrays | {"weights": weights})


def test_another_models_arrays_are_refused() -> None:
    config, _ = collab.packed(fitted("sasrec"))
    _, arrays = collab.packed(fitted("gru4rec"))
    with pytest.raises(ArtifactError, match="do not fit"):
        collab.unpacked(config, arrays)


@pytest.mark.parametrize("config", [None, [], "sasrec", {}, {"name": 3, "n_items": 1, "settings": {}}])
def test_a_config_that_is_none_is_refused(config: Any) -> None:
    with pytest.raises(ArtifactError, match="not a model"):
        collab.unpacked(config, {})
