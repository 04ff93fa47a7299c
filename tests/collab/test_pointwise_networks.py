"""The networks that answer yes or no: they keep to the contract, learn what can be learned, and invent nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tastemaker.collab import pointwise
from tastemaker.collab.pointwise import PointwiseModel
from tastemaker.collab.pointwise._network import NetworkModel
from tastemaker.collab.pointwise._network import auc as rank_auc
from tastemaker.collab.pointwise.ctrl_din import CTRLDIN, title_vectors
from tastemaker.collab.pointwise.hashed_mf import Codes
from tastemaker.data import Judgement, PreferenceSplit
from tastemaker.errors import ConfigError, DataError, TrainingError, UsageError
from tastemaker.testing.pointwise import PointwiseModelContract, asked, auc, tastes_split
from tastemaker.types import Item, Query, User, quiet

QUICK: dict[str, dict[str, Any]] = {
    "mf": {"embedding_size": 8},
    "hashed-mf": {"embedding_size": 16, "hardening": 0.01, "epochs": 80, "patience": 80},
    "lightgcn": {"embedding_size": 8},
    "sasrec": {"embedding_size": 8, "max_history": 5, "weight_decay": 0},
    "gru4rec": {"embedding_size": 8, "max_history": 5, "weight_decay": 0},
    "caser": {"embedding_size": 8, "max_history": 5, "weight_decay": 0, "n_filters": 4},
    "din": {"embedding_size": 8, "attention_layers": (8,), "layers": (16, 8)},
}
QUICK["ctrl-din"], QUICK["sasrec-answers"] = QUICK["din"], QUICK["sasrec"]
"""Settings that learn little data in no time; those for large data are measured on it."""


def quick(name: str, **given: Any) -> NetworkModel:
    """A fresh model of that name."""
    chosen = {"learning_rate": 0.02, "epochs": 40, "patience": 40, **QUICK[name], **given}
    model = pointwise.models.get(name)(**chosen)
    assert isinstance(model, NetworkModel)
    return model


def groups_split() -> PreferenceSplit:
    """Even users like even items and odd ones odd. A fifth is withheld; histories are all else that was liked."""
    base = tastes_split()
    n_users, n_items = base.dataset.n_users - 1, base.dataset.n_items
    parts: dict[bool, list[Judgement]] = {True: [], False: []}
    for user in range(n_users):
        liked = [item for item in range(n_items) if item % 2 == user % 2]
        for item in range(n_items):
            history = tuple(Item(other) for other in liked if other != item)
            query = Query(history, (Item(item),), User(user), likes=(True,) * len(history))
            parts[(user + item * 3) % 5 == 0].append(Judgement(query, item in liked))
    return replace(base, train=tuple(parts[False]), valid=tuple(parts[True]), test=tuple(parts[True]))


class TestEveryNetwork(PointwiseModelContract):
    @pytest.fixture(scope="class", params=sorted(QUICK))
    @classmethod
    def make(cls, request: pytest.FixtureRequest) -> Callable[..., PointwiseModel]:
        return partial(quick, request.param, epochs=3)


def test_all_networks_are_tried() -> None:
    found = {n for n in pointwise.models.names() if issubclass(pointwise.models.get(n), NetworkModel)}
    assert found == set(QUICK)


@pytest.mark.parametrize("name", sorted(QUICK))
def test_withheld_answers_follow_from_those_of_like_minded_users(name: str) -> None:
    split = groups_split()
    assert auc(quick(name).fit(split), split.test) > 0.95


def test_biases_learn_who_is_generous_and_what_pleases() -> None:
    split = tastes_split()
    model = quick("mf", biases=True, embedding_size=1).fit(split)
    generous, strict = (model.score([Query((), (Item(6),), User(user))])[0][0] for user in (0, 5))
    assert generous > strict
    liked, disliked = model.item_vectors[[0, 6], -1]
    assert liked > disliked
    assert model.item_vectors.shape == (10, 2)


def test_vectors_of_factors_meet_in_the_score() -> None:
    for name in ("mf", "lightgcn"):
        model = quick(name, epochs=3).fit(tastes_split())
        query = Query((), (Item(0), Item(6)), User(3))
        met = model.item_vectors[[0, 6]] @ model.user_vectors([query])[0]
        np.testing.assert_allclose(model.score([query])[0], met, atol=1e-5)


def test_codes_are_bits_and_agree_as_often_as_the_score_says() -> None:
    model = quick("hashed-mf", epochs=3).fit(tastes_split())
    query = Query((), (Item(0), Item(6)), User(3))
    codes, (who,) = model.item_vectors[[0, 6]], model.user_vectors([query])
    assert {*np.unique(codes)} == {*np.unique(who)} == {-1.0, 1.0}
    scale = model.network.scale.item()  # type: ignore[union-attr, operator]
    np.testing.assert_allclose(model.score([query])[0], scale * (codes @ who), atol=1e-5)


def test_training_means_bits_more_and_more_and_always_learns_through_the_smooth_value() -> None:
    network = Codes(3, 4, 8, std=0.1, hardening=0.5).train()
    for steps, share in ((0, 0.0), (2, 1.0)):
        network.steps.fill_(steps)
        table = network.item_table()
        assert (table[:-1].abs() == 1).float().mean() == share
        table.sum().backward()
        assert network.items.weight.grad is not None
        assert (network.items.weight.grad[:-1] != 0).all()


def test_the_graph_has_no_edge_where_nobody_liked() -> None:
    split = groups_split()
    turned = replace(split, train=tuple(replace(r, liked=r.liked and r.query.user != 3) for r in split.train))
    model = quick("lightgcn")
    model.item_counts, model.user_counts = split.item_counts, split.user_counts
    learner: Any = model._learner(turned, quiet)
    torch.testing.assert_close(learner.propagation()[0][3], learner.propagation.users[3] / 3)


def test_only_what_was_liked_is_read_and_only_the_last_of_it() -> None:
    model = quick("sasrec", max_history=2, epochs=2).fit(tastes_split())
    items = tuple(Item(i) for i in (0, 1, 2, 3))
    query = Query(items, (Item(5),), likes=(True, True, False, True))
    assert model.read(query) == [1, 3]
    assert model.read(Query(items)) == [2, 3]
    bare = Query((Item(1), Item(3)), (Item(5),))
    np.testing.assert_array_equal(model.score([query])[0], model.score([bare])[0])


def test_answers_are_read_where_they_are_shown() -> None:
    rows = []
    base = tastes_split()
    for user in range(base.dataset.n_users - 1):  # who did not like the one thing shown likes nothing else either
        for item in range(1, base.dataset.n_items):
            likes = (user % 2 == 0,)
            rows.append(Judgement(Query((Item(0),), (Item(item),), User(user), likes=likes), likes[0]))
    rows.append(Judgement(Query((), (Item(0),), User(0), likes=()), liked=True))
    split = replace(base, train=tuple(rows), valid=tuple(rows[:-1]), test=tuple(rows[:-1]))
    model = quick("sasrec-answers", max_history=2).fit(split)
    assert model.read(Query((Item(0), Item(1), Item(2)), likes=(True, True, False))) == [1, 2 + 11]
    assert model.read(Query((Item(1), Item(2)))) == [1, 2]
    yes, no = (model.score([Query((Item(0),), (Item(5),), likes=(like,))])[0][0] for like in (True, False))
    assert yes > 0 > no
    assert auc(model, split.test) > 0.9


def test_a_history_tells_who_asks_even_where_the_id_does_not() -> None:
    split = groups_split()
    for name in ("sasrec", "sasrec-answers", "gru4rec", "caser", "din"):
        model = quick(name).fit(split)
        even, odd = Query((Item(0), Item(2)), (Item(4),)), Query((Item(1), Item(3)), (Item(4),))
        assert model.knows([even, replace(even, history=(), user=User(999))]).tolist() == [True, False]
        assert model.score([even])[0][0] > model.score([odd])[0][0], name


def test_of_whom_nothing_is_known_nothing_is_said() -> None:
    nobody = Query((), tuple(Item(i) for i in range(10)), User(11))
    for name in ("mf", "hashed-mf", "lightgcn", "sasrec", "gru4rec", "caser"):
        np.testing.assert_array_equal(quick(name, epochs=3).fit(tastes_split()).score([nobody])[0], 0)


@pytest.mark.parametrize("name", ["din", "ctrl-din"])
def test_a_last_batch_may_be_one_row(name: str) -> None:
    split = tastes_split()
    model = quick(name, epochs=2, batch_size=4).fit(replace(split, train=split.train[:25]))
    assert np.isfinite(np.concatenate(model.score(asked()[:3]))).all()


def test_dins_user_depends_on_the_item_asked_about() -> None:
    model = quick("din", epochs=2).fit(tastes_split())
    with pytest.raises(UsageError, match="one candidate at a time"):
        model.user_vectors([asked()[0]])
    one, other = (model.user_vectors([Query((Item(3),), (Item(i),), User(2))]) for i in (0, 1))
    assert one.shape == (1, 24)
    assert not np.array_equal(one, other)
    assert model.item_vectors.shape == (10, 24)


def test_items_begin_where_their_texts_are() -> None:
    split, texts = tastes_split(), np.repeat(np.eye(2, dtype=np.float32), 5, axis=0)
    model = CTRLDIN(**QUICK["din"], texts=texts, align_epochs=40, learning_rate=0.02)
    model.item_counts, model.user_counts = split.item_counts, split.user_counts
    with torch.random.fork_rng(devices=[]):
        learner: Any = model._learner(split, quiet)
    vectors = torch.nn.functional.normalize(learner.items.weight[:7]).detach().numpy()
    likeness = vectors @ vectors.T
    assert likeness[:5, :5].mean() > likeness[:5, 5:].mean() + 0.3
    with pytest.raises(DataError, match=r"texts are \(3, 2\), but tastes has 10 items"):
        CTRLDIN(texts=texts[:3]).fit(split)


def test_titles_with_rare_words_in_common_are_alike() -> None:
    vectors = title_vectors(["The Alien", "the aliens return", "Alien 3", "the end", ""], 512)
    likeness = vectors @ vectors.T / np.linalg.norm(vectors + 1e-9, axis=1)
    assert likeness[0, 2] > likeness[0, 1]
    assert not vectors[4].any()
    assert title_vectors([], 4).shape == (0, 4)


def test_without_validation_of_both_kinds_the_last_epoch_is_kept() -> None:
    split, notes = tastes_split(), []
    split = replace(split, valid=tuple(row for row in split.valid if row.liked))
    quick("mf", epochs=3, patience=1).fit(split, progress=lambda t, done, total=None, note="": notes.append(note))
    assert notes == ["", "", ""]


def test_a_loss_that_is_not_a_number_stops_training(monkeypatch: pytest.MonkeyPatch) -> None:
    model = quick("mf", init_std=1e30)
    with pytest.raises(TrainingError, match=r"MF: the loss became .* in epoch 1; lower learning_rate=0\.02"):
        model.fit(tastes_split())


def test_no_global_generator_is_touched() -> None:
    before = torch.random.get_rng_state()
    quick("sasrec", epochs=1).fit(tastes_split())
    assert torch.equal(before, torch.random.get_rng_state())


def test_filters_must_fit_into_the_history() -> None:
    with pytest.raises(ConfigError, match="between 1 and max_history=3"):
        pointwise.models.get("caser")(max_history=3)


def test_heads_must_divide_the_size() -> None:
    with pytest.raises(ConfigError, match="embedding_size=10 must be a multiple of n_heads=4"):
        pointwise.models.get("sasrec")(embedding_size=10, n_heads=4)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30))
def test_auc_is_what_scikit_learn_says(rows: list[tuple[int, bool]]) -> None:
    scores, liked = np.array([r[0] for r in rows], np.float32), np.array([r[1] for r in rows])
    if liked.all() or not liked.any():
        return
    assert rank_auc(scores, liked) == pytest.approx(roc_auc_score(liked, scores))
