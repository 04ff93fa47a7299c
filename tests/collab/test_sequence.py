"""What the neural models share: windows, losses, the weights that are kept, the papers' settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.collab import GRU4Rec, SASRec, _batched, _losses, models
from tastemaker.collab._embedding import cooccurrence_vectors
from tastemaker.collab._losses import catalogue_cross_entropy, dropout, sampled_binary
from tastemaker.collab._sequence import SequenceModel
from tastemaker.collab._stopping import Keeper
from tastemaker.collab._windows import Windows
from tastemaker.errors import ConfigError, TrainingError
from tastemaker.testing.collab import asked, checkerboard, hand_split, split_of
from tastemaker.types import FloatArray, Item, Query

NEURAL = [name for name in models.names() if issubclass(models.get(name), SequenceModel)]


@settings(max_examples=40)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(1, 9), st.integers(0, 99))
def test_an_epoch_has_each_transition_once(sizes: list[int], length: int, seed: int) -> None:
    rows = [(f"u{user}", f"{user}-{i}", i) for user, size in enumerate(sizes) for i in range(size)]
    split = split_of(rows, sorted({item for _, item, _ in rows}))
    padding = split.dataset.n_items
    seen: Counter[tuple[int, int]] = Counter()
    for batch in Windows(split.train, length, shuffle_ties=True).batches(np.random.default_rng(seed), 2, padding):
        assert batch.shape[1] <= length + 1
        assert batch[:, 1:].size <= 2 * length
        for row in batch.tolist():
            items = [i for i in row if i != padding]
            assert row == items + [padding] * (len(row) - len(items))
            seen.update(pairwise(items))
    expected = Counter((int(a), int(b)) for s in split.sequences for a, b in pairwise(s))
    assert seen == expected


def test_only_items_of_the_same_time_change_places() -> None:
    split = split_of([("u", "a", 1), ("u", "b", 2), ("u", "c", 2), ("u", "d", 3), ("v", "e", 0)], "abcde")
    rng = np.random.default_rng(0)
    shuffled, fixed = (Windows(split.train, 9, shuffle_ties=ties) for ties in (True, False))
    orders = {tuple(np.sort(shuffled._ordered(rng)[1:3])) for _ in range(20)}
    assert orders == {(1, 2)}
    assert {tuple(shuffled._ordered(rng).tolist()) for _ in range(20)} == {(0, 1, 2, 3, 4), (0, 2, 1, 3, 4)}
    assert fixed._ordered(rng).tolist() == [0, 1, 2, 3, 4]


def _inputs(dtype: torch.dtype, scale: float) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Hidden states of 71 rows, vectors and biases of 11 items, and what is wanted of the rows."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((71, 5), (11, 5), (11,))
    inputs = [scale * torch.randn(*s, dtype=dtype, generator=generator) for s in shapes]
    return [one.requires_grad_() for one in inputs], torch.randint(11, (71,), generator=generator)


@pytest.mark.parametrize("scale", [1.0, 20.0])  # at 20 some logits differ by thousands
def test_cross_entropy_in_chunks_is_cross_entropy(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_losses, "CELLS", 11 * 32)
    inputs, wanted = _inputs(torch.double, scale)
    plain = torch.nn.functional.cross_entropy(inputs[0] @ inputs[1].T + inputs[2], wanted)
    ours = catalogue_cross_entropy(*inputs, wanted)
    torch.testing.assert_close(ours, plain)
    for mine, theirs in zip(torch.autograd.grad(3 * ours, inputs), torch.autograd.grad(3 * plain, inputs), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_cross_entropy_by_quick_products_is_near_it(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_losses, "matmul_dtype", lambda: dtype)
    inputs, wanted = _inputs(torch.float32, 1.0)
    plain = torch.nn.functional.cross_entropy(inputs[0] @ inputs[1].T + inputs[2], wanted)
    ours = catalogue_cross_entropy(*inputs, wanted)
    tolerance = 0.01 if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(ours, plain, rtol=tolerance, atol=0)
    for mine, theirs in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(plain, inputs), strict=True):
        assert (mine - theirs).norm() < tolerance * theirs.norm()


def test_the_negative_is_never_the_item_wanted() -> None:
    hidden, weight = torch.ones(500, 1), torch.tensor([[0.0], [9.0], [0.0]])
    wanted = torch.ones(500, dtype=torch.long)
    with torch.random.fork_rng(devices=[]):
        loss = sampled_binary(hidden, weight, torch.zeros(3), wanted)
    torch.testing.assert_close(loss, torch.tensor(np.log(2) + np.log1p(np.exp(-9)), dtype=torch.float32))


def test_dropout_keeps_the_mean_and_rests_outside_training() -> None:
    values = torch.ones(40_000)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        dropped = dropout(values, 0.3, training=True)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7], rel=1e-4)
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert dropout(values, 0.3, training=False) is values


def test_the_last_epoch_not_clearly_worse_than_the_best_is_kept() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    keeper = Keeper(network)
    histories = {1: [0.1, 0.1, 0.1, 0.1], 2: [0.5, 0.5, 0.6, 0.4], 3: [0.6, 0.4, 0.5, 0.4], 4: [0.2, 0.1, 0.2, 0.1]}
    for epoch, hits in histories.items():
        torch.nn.init.constant_(network.weight, epoch)
        keeper.see(epoch, np.array(hits, dtype=np.float32), network)
    assert keeper.epoch == 3
    assert keeper.weights["weight"].item() == 3


def test_without_validation_the_last_epoch_is_kept() -> None:
    network, keeper = torch.nn.Linear(1, 1), Keeper(torch.nn.Linear(1, 1))
    for epoch in (1, 2):
        keeper.see(epoch, np.zeros(0, dtype=np.float32), network)
    assert keeper.epoch == 2


def test_training_stops_early_once_it_only_gets_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    falling = iter(np.linspace(1, 0, 50))
    monkeypatch.setattr(SASRec, "validate", lambda self, cases: np.full(3, next(falling), dtype=np.float32))
    done: list[tuple[float, float | None]] = []
    SASRec(epochs=20, patience=2).fit(
        hand_split(), progress=lambda task, at, total=None, note="": done.append((at, total))
    )
    assert done == [(1, 20), (2, 20), (20, 20)]


@pytest.mark.parametrize("name", NEURAL)
def test_a_prediction_never_sees_what_comes_after(name: str) -> None:
    model = models.get(name)().fit(hand_split())
    assert isinstance(model, SequenceModel)
    with torch.inference_mode():
        one, other = (model.network(torch.tensor([[0, 1, 2, *end]])) for end in ((3, 4), (5, 5)))
    torch.testing.assert_close(one[:, :3], other[:, :3])
    assert not torch.allclose(one[:, 3:], other[:, 3:])


@pytest.mark.parametrize("name", NEURAL)
def test_one_place_alone_is_read_as_among_all(name: str) -> None:
    layers = {"n_layers": 2} if name == "sasrec" else {}
    network = models.get(name)(**layers).fit(hand_split()).network
    items, last = torch.tensor([[0, 1, 2, 3], [4, 5, 7, 7], [6, 7, 7, 7]]), torch.tensor([3, 1, 0])
    with torch.inference_mode():
        torch.testing.assert_close(network(items, last), network(items)[torch.arange(3), last])


@pytest.mark.parametrize("name", NEURAL)
def test_bce_is_the_papers_setting_unless_told_otherwise(name: str) -> None:
    config = models.get(name)(loss="bce", epochs=3).config.model_dump()
    expected = {"embedding_size": 64, "max_history": 10, "tie_weights": False, "warm_start": False, "epochs": 3}
    assert {key: config[key] for key in expected} == expected
    assert models.get(name)().config.model_dump()["warm_start"] is True


@pytest.mark.parametrize("name", NEURAL)
@pytest.mark.parametrize("loss", ["bce", "softmax"])
def test_each_loss_learns_the_checkerboard_from_nothing(name: str, loss: str) -> None:
    split = checkerboard(20)
    settings = {"loss": loss, "warm_start": False, "epochs": 60, "patience": 60, "learning_rate": 0.01, "dropout": 0.0}
    scores = models.get(name)(**settings).fit(split).score([case.query for case in split.test])
    liked = np.arange(20)[:, None] % 2 == np.arange(20) % 2
    assert ((scores * liked).sum(axis=1) > (scores * ~liked).sum(axis=1)).all()


@pytest.mark.parametrize("name", NEURAL)
def test_only_the_last_items_of_a_long_history_are_read(name: str) -> None:
    model = models.get(name)(max_history=3).fit(hand_split())
    np.testing.assert_allclose(model.score(asked("fefeabc")), model.score(asked("abc")), atol=1e-6)


@pytest.mark.parametrize("size", [8, 20])  # few enough dimensions for an iterative solver, and too many
def test_vectors_start_near_their_neighbours(size: int) -> None:
    vectors = cooccurrence_vectors(checkerboard(50), size, np.random.default_rng(0))
    likeness = vectors @ vectors.T
    assert vectors.shape == (50, size)
    np.testing.assert_allclose(np.diag(likeness), 1, atol=0.02)
    assert likeness[0, 2::2].mean() > likeness[0, 1::2].mean() + 0.5


def test_more_dimensions_than_items_are_filled_with_little_noise() -> None:
    vectors = cooccurrence_vectors(hand_split(), 32, np.random.default_rng(0))
    assert vectors.shape == (7, 32)
    assert 0 < np.abs(vectors[6]).max() < 0.2


def test_a_loss_that_is_not_a_number_stops_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SASRec, "_loss", lambda self, batch: torch.tensor(float("nan"), requires_grad=True))
    with pytest.raises(TrainingError, match=r"SASRec: the loss became nan in epoch 1; lower learning_rate=0\.002"):
        SASRec().fit(hand_split())


def test_users_of_one_item_teach_nothing_but_break_nothing() -> None:
    split = split_of([("u", "a", 1), ("v", "b", 1), ("v", "a", 2)], "ab")
    assert np.isfinite(SASRec().fit(split).score([Query(history=(Item(0),))])).all()
    alone = replace(split, train=split.train.head(1))
    assert np.isfinite(GRU4Rec().fit(alone).score([Query(history=(Item(0),))])).all()


def test_other_seeds_give_other_models() -> None:
    one, other = (SASRec().fit(hand_split(), seed=seed).score(asked("ab")) for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_filters_must_fit_into_the_window() -> None:
    with pytest.raises(ConfigError, match="filter_heights must lie between 1 and window=3"):
        models.get("caser")(window=3, filter_heights=(2, 4))


def test_heads_must_divide_the_size() -> None:
    with pytest.raises(ConfigError, match="embedding_size=10 must be a multiple of n_heads=4"):
        SASRec(embedding_size=10, n_heads=4)


def test_validation_scores_a_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    split = checkerboard()
    model = SASRec(epochs=1, embedding_size=8).fit(split)
    whole, sizes, score = model.validate(split.valid), list[int](), model.score

    def counted(queries: Sequence[Query]) -> FloatArray:
        sizes.append(len(queries))
        return score(queries)

    monkeypatch.setattr(_batched, "BATCH", 2)
    monkeypatch.setattr(model, "score", counted)
    np.testing.assert_allclose(model.validate(split.valid), whole, atol=1e-6)
    assert max(sizes) <= 2
    assert sum(sizes) == len(split.valid)
