"""Models that know users by id: what they learn from, whom they know, and how they take in a stranger."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tastemaker.collab import BERT4Rec, models
from tastemaker.collab._graph import Propagation
from tastemaker.collab._pairs import Pairs
from tastemaker.collab._training import Loop
from tastemaker.collab._users import UserModel
from tastemaker.collab.ncf import NCF
from tastemaker.errors import ConfigError, TrainingError
from tastemaker.testing.collab import checkerboard, hand_split, split_of
from tastemaker.types import Item, Query, User, quiet

KNOWING = [name for name in models.names() if issubclass(models.get(name), UserModel)]


@settings(max_examples=30)
@given(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 7)), min_size=1), st.integers(1, 9))
def test_an_epoch_has_each_choice_once_beside_items_nobody_chose_there(chosen: set[tuple[int, int]], size: int) -> None:
    split = split_of([(f"u{u}", f"i{i}", 0) for u, i in sorted(chosen)], [f"i{i}" for i in range(9)])
    users = split.dataset.users["user_id"].to_list()
    known = {item for _, item in chosen}
    seen = []
    for rows, items, others in Pairs(split).batches(np.random.default_rng(0), size, 2):
        assert others.shape == (len(rows), 2)
        for user, item, drawn in zip(rows.tolist(), items.tolist(), others.tolist(), strict=True):
            who = int(users[user][1:])
            seen.append((who, item))
            assert set(drawn) <= known
    assert sorted(seen) == sorted(chosen)


def test_small_data_comes_in_small_batches() -> None:
    batches = list(Pairs(checkerboard(50)).batches(np.random.default_rng(0), 10_000, 1))
    assert len(batches) >= 8


def test_what_was_chosen_is_hardly_ever_a_negative() -> None:
    split = checkerboard(50)
    chosen = set(zip(split.train["user"].to_list(), split.train["item"].to_list(), strict=True))
    drawn = [
        (user, other)
        for users, _, others in Pairs(split).batches(np.random.default_rng(0), 512, 4)
        for user, row in zip(users.tolist(), others.tolist(), strict=True)
        for other in row
    ]
    assert sum(pair in chosen for pair in drawn) < 0.1 * len(drawn)  # of half the catalogue, an eighth of a half


@pytest.mark.parametrize("name", KNOWING)
def test_a_known_user_is_known_by_id_and_a_stranger_by_what_he_chose(name: str) -> None:
    split = checkerboard(20)
    model: Any = models.get(name)(epochs=10).fit(split)
    even, odd = (tuple(Item(i) for i in range(begin, 8, 2)) for begin in (0, 1))
    known, stranger = Query(even, user=User(1)), Query(even, user=User(700))
    scores = model.score([known, Query(odd, user=User(1)), stranger, Query(even), Query((), user=User(700))])
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)
    np.testing.assert_allclose(scores[2], scores[3], atol=1e-6)
    assert scores[0, 1::2].mean() > scores[0, ::2].mean()
    assert scores[2, ::2].mean() > scores[2, 1::2].mean()
    vectors = model.user_vectors([known, stranger, Query((), user=User(700)), Query((Item(-1), Item(99)))])
    np.testing.assert_array_equal(vectors[0], model.users[1])
    assert vectors[1].any()
    assert not vectors[2:].any()


@pytest.mark.parametrize("name", KNOWING)
def test_folding_in_the_history_of_a_known_user_gives_nearly_what_he_has(name: str) -> None:
    model: Any = models.get(name)(epochs=10).fit(checkerboard(20))
    cases = checkerboard(20).test
    own = model.user_vectors([Query(case.query.history, user=User(n)) for n, case in enumerate(cases)])
    folded = model.user_vectors([case.query for case in cases])
    likeness = (own * folded).sum(1) / np.linalg.norm(own, axis=1) / np.linalg.norm(folded, axis=1)
    assert likeness.min() > 0.8


def test_walking_the_graph_is_a_product_with_the_normalised_matrix() -> None:
    choices = sparse.csr_array(np.array([[1, 1, 0], [0, 1, 0]], dtype=np.float32))
    with torch.random.fork_rng(devices=[]):
        walk = Propagation(choices, 4, 2)
    users, items = walk()
    step = torch.tensor([[1 / 2**0.5, 0.5, 0], [0, 1 / 2**0.5, 0]])
    e_users, e_items = walk.users, walk.items
    u1, i1 = step @ e_items, step.T @ e_users
    expected = (e_users + u1 + step @ i1) / 3, (e_items + i1 + step.T @ u1) / 3
    torch.testing.assert_close(users, expected[0])
    torch.testing.assert_close(items, expected[1])
    weights = torch.arange(8.0).view(2, 4), torch.arange(12.0).view(3, 4)
    ours = torch.autograd.grad((users * weights[0]).sum() + (items * weights[1]).sum(), [e_users, e_items])
    plain = torch.autograd.grad(sum((e * w).sum() for e, w in zip(expected, weights, strict=True)), [e_users, e_items])
    for mine, theirs in zip(ours, plain, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_the_catalogue_is_scored_as_its_pairs_are() -> None:
    model = NCF(epochs=2).fit(hand_split())
    with torch.inference_mode():
        pairs = model.head(model.users[:, None], model.items[None])
        torch.testing.assert_close(model.head.catalogue(model.users, model.items), pairs)


def test_ncf_vectors_have_two_halves() -> None:
    with pytest.raises(ConfigError, match="embedding_size must be even"):
        NCF(embedding_size=5)


def test_bert4rec_reads_from_both_sides_and_blanks_the_last() -> None:
    model = BERT4Rec(epochs=1).fit(hand_split())
    with torch.inference_mode():
        one, other = (model.network(torch.tensor([[0, 1, 2, end]])) for end in (3, 5))
        assert not torch.allclose(one[:, 0], other[:, 0])
        seen: list[torch.Tensor] = []
        network, model.network = model.network, _Spy(model.network, seen)  # type: ignore[assignment]
        model._loss(torch.tensor([[0, 1, 2], [3, 4, 7]]), torch.ones(2, 3))
        model.network = network
    assert seen[0].tolist() == [[0, 1, 8], [3, 8, 7]]


class _Spy(torch.nn.Module):
    def __init__(self, network: Any, seen: list[torch.Tensor]) -> None:
        super().__init__()
        self.network, self.seen, self.bias, self.item_table = network, seen, network.bias, network.item_table

    def forward(self, items: torch.Tensor) -> torch.Tensor:
        self.seen.append(items)
        found: torch.Tensor = self.network(items)
        return found


def test_the_loop_stops_after_its_patience_and_keeps_the_best() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD(network.parameters(), 1.0)
    results, weights, told = iter([0.5, 0.7, 0.6, 0.5, 0.4]), [], []

    def judge() -> np.ndarray:
        weights.append(network.weight.item())
        return np.array([next(results)], dtype=np.float32)

    loop = Loop("X", 9, 2, "AUC", lambda task, done, total=None, note="": told.append((done, note)))
    loop.run(network, optimizer, lambda: [network.weight.sum()], judge)
    assert all(before > after for before, after in pairwise(weights))
    assert network.weight.item() == weights[1]
    assert [done for done, _ in told] == [1, 2, 3, 9]
    assert told[1][1] == "validation AUC 0.7000"
    with pytest.raises(TrainingError, match="Y: the loss became nan in epoch 1; lower learning_rate=1"):
        Loop("Y", 1, 1, "AUC", quiet).run(
            network, optimizer, lambda: [network.weight.sum() * float("nan")], lambda: np.zeros(0, np.float32)
        )
