"""The mean of several models: fair to each, and a model like any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tastemaker.collab import Cooccurrence, Ensemble, Popularity, SASRec
from tastemaker.errors import UnknownNameError, UsageError
from tastemaker.testing.collab import asked, hand_split

COUNTS = ("popularity", "cooccurrence")


def test_members_count_alike_whatever_their_scale() -> None:
    split, queries = hand_split(), asked("ab", "e")
    expected = np.zeros((2, 6))
    for model in (Popularity(), Cooccurrence()):
        scores = model.fit(split).score(queries)[:, :6]
        expected += (scores - scores.mean(axis=1, keepdims=True)) / scores.std(axis=1, keepdims=True) / 2
    ours = Ensemble(members=COUNTS).fit(split).score(queries)
    np.testing.assert_allclose(ours[:, :6], expected, atol=1e-5)


def test_a_member_named_twice_is_fitted_from_two_seeds() -> None:
    first, second = Ensemble(members=("sasrec", "sasrec")).fit(hand_split()).members
    assert not np.array_equal(first.score(asked("ab")), second.score(asked("ab")))


def test_settings_reach_their_member() -> None:
    model = Ensemble(members=("cooccurrence", "sasrec"), settings={"sasrec": {"embedding_size": 8}}).fit(hand_split())
    assert model.item_vectors.shape == (7, 8)
    assert isinstance(model.members[1], SASRec)


def test_fitted_models_make_the_ensemble_that_fitting_them_would() -> None:
    split, queries = hand_split(), asked("ab", "e")
    made = Ensemble.of([Popularity().fit(split), Cooccurrence().fit(split)])
    np.testing.assert_array_equal(made.score(queries), Ensemble(members=COUNTS).fit(split).score(queries))
    assert made.config == Ensemble(members=COUNTS).config


def test_models_of_different_data_make_no_ensemble() -> None:
    split = hand_split()
    less = replace(split, train=split.train.head(5))
    with pytest.raises(UsageError, match="same split"):
        Ensemble.of([Popularity().fit(split), Cooccurrence().fit(less)])
    with pytest.raises(UsageError, match="one of each kind"):
        Ensemble.of([Popularity().fit(split), Popularity().fit(split)])


def test_vectors_of_neural_members_stand_side_by_side() -> None:
    settings = {"sasrec": {"embedding_size": 8}, "gru4rec": {"embedding_size": 4}}
    model = Ensemble(members=("sasrec", "popularity", "gru4rec"), settings=settings).fit(hand_split())
    known = model.known_items
    norms = [np.linalg.norm(part[known], axis=1).mean() for part in np.split(model.item_vectors, [8], axis=1)]
    assert model.item_vectors.shape == (7, 12)
    assert np.allclose(norms, 1, atol=1e-5)


def test_without_a_neural_member_there_are_no_vectors() -> None:
    with pytest.raises(UsageError, match="add a neural model"):
        _ = Ensemble(members=COUNTS).fit(hand_split()).item_vectors


def test_an_unknown_member_is_named_before_anything_is_fitted() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'sasrec'"):
        Ensemble(members=("popularity", "sasrek")).fit(hand_split())


def test_settings_for_somebody_who_is_no_member_are_refused() -> None:
    with pytest.raises(UsageError, match="settings for 'caser', which is no member"):
        Ensemble(members=COUNTS, settings={"caser": {"epochs": 1}})


def test_an_ensemble_of_itself_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be a member of itself"):
        Ensemble(members=("ensemble",))
