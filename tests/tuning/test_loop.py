"""The loop against torch's own optimiser: what it takes a step from, what it keeps and what it refuses."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import BATCHES, Toy, same

from tastemaker.errors import TrainingError


def batches_of(seed, epochs):
    """The batches of so many epochs, epoch e drawn from (seed, e)."""
    return [batch for epoch in range(epochs) for batch in Toy().epoch(np.random.default_rng([seed, epoch]))]


def by_torch(toy, batches, *, accumulate=1, clip=0.5, kind=torch.optim.AdamW, betas=(0.9, 0.98)):
    """The toy trained by torch's AdamW or Adam; the parameters after each step."""
    optimizer = kind(
        [
            {"params": [toy.layer.weight], "lr": 0.05, "weight_decay": 0.1},
            {"params": [toy.layer.bias], "lr": 0.2, "weight_decay": 0.0},
        ],
        betas=betas,
        eps=1e-8,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, toy.stage.rate)
    after = []
    for start in range(0, len(batches), accumulate):
        optimizer.zero_grad()
        for batch in batches[start : start + accumulate]:
            (toy.loss(batch, 0.0) / accumulate).backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(toy.layer.parameters(), clip)
        optimizer.step()
        schedule.step()
        after.append(toy.values())
    return after


def close(one, two):
    for name, value in two.items():
        torch.testing.assert_close(one[name], value, rtol=1e-5, atol=1e-6)


def test_steps_can_be_those_of_torchs_adam():
    betas = (0.9, 0.999)
    ours, theirs = (Toy(drop=0, decoupled=False, betas=betas, clip=0.5) for _ in range(2))
    ours.run(seed=5)
    expected = by_torch(theirs, batches_of(5, 6)[:20], kind=torch.optim.Adam, betas=betas)
    close(ours.values(), expected[-1])


@pytest.mark.parametrize(("accumulate", "clip"), [(1, 0.5), (1, None), (3, 0.5)])
def test_steps_are_those_of_torchs_adamw(accumulate, clip):
    ours, theirs = (Toy(drop=0, accumulate=accumulate, clip=clip) for _ in range(2))
    outcome = ours.run(seed=5)
    batches = batches_of(5, 1 + 20 * accumulate // BATCHES)[: 20 * accumulate]
    close(ours.values(), by_torch(theirs, batches, accumulate=accumulate, clip=clip)[-1])
    assert (outcome.steps, outcome.best_figure) == (20, None)


@pytest.mark.parametrize("accumulate", [1, 3, BATCHES + 1])
def test_every_epoch_shows_every_batch_once_in_an_order_of_its_own(accumulate):
    toy = Toy(accumulate=accumulate)
    toy.run(seed=2)
    assert toy.seen == batches_of(2, 2 + 20 * accumulate // BATCHES)[: 20 * accumulate]
    whole = len(toy.seen) // BATCHES * BATCHES
    epochs = np.array(toy.seen[:whole]).reshape(-1, BATCHES)
    assert (np.sort(epochs.astype(int), axis=1) == np.arange(BATCHES)).all()
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs)


def test_epochs_may_differ_in_length():
    toy = Toy(steps=9)
    lengths = iter((2, 3, 1, 5))
    known: dict[float, list[float]] = {}

    def epoch(rng):
        first = float(rng.random())  # which epoch this is
        known.setdefault(first, [first + i for i in range(next(lengths) if first not in known else 0)])
        return known[first]

    toy.stage = replace(toy.stage, epoch=epoch)
    toy.run()
    assert toy.seen == [batch for batches in known.values() for batch in batches][:9]


def test_the_loss_is_told_the_share_of_all_optimiser_steps():
    toy = Toy(steps=10, accumulate=2)
    toy.run()
    assert toy.shares == [step / 10 for step in range(10) for _ in range(2)]


def test_another_seed_is_another_run_and_the_same_is_the_same():
    values = {}
    for seed in (0, 1, 0):
        toy = Toy(drop=0.5)
        toy.run(seed=seed)
        assert seed not in values or same(values[seed], toy.values())
        values[seed] = toy.values()
    assert not same(values[0], values[1])


def test_dropout_differs_by_step():
    toy, masks = Toy(epoch=lambda rng: [2.0]), []
    whole = toy.loss

    def loss(batch, share):
        masks.append(tuple(torch.nn.functional.dropout(torch.ones(32), 0.5).tolist()))
        return whole(batch, share)

    toy.stage = replace(toy.stage, loss=loss)
    toy.run()
    assert len(set(masks)) == 20


def test_nothing_but_the_groups_is_trained_and_no_gradient_stays():
    toy = Toy()
    before = [p.clone() for p in toy.frozen.parameters()]
    toy.stage = replace(toy.stage, loss=lambda batch, share: toy.loss(batch, share) + toy.frozen(torch.ones(4)).sum())
    for parameter in toy.frozen.parameters():
        parameter.requires_grad_(False)
    toy.run()
    assert all(torch.equal(a, b) for a, b in zip(before, toy.frozen.parameters(), strict=True))
    assert not same(toy.values(), Toy().values())
    assert all(p.grad is None for p in (*toy.layer.parameters(), *toy.frozen.parameters()))


def test_global_generators_are_left_alone():
    toy = Toy()
    before = torch.random.get_rng_state(), str(np.random.get_state(legacy=False))
    toy.run()
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == str(np.random.get_state(legacy=False))


def test_the_best_parameters_on_validation_are_those_kept():
    toy, at, figures = Toy(steps=11), [], iter([0.3, 0.7, 0.7, 0.1])

    def validate():
        at.append(toy.values())
        return next(figures)

    toy.stage = replace(toy.stage, validate=validate, validate_every=3)
    outcome = toy.run()
    assert (outcome.best_figure, outcome.best_step, outcome.steps, len(at)) == (0.7, 6, 11, 4)  # 3, 6, 9 and the last
    assert same(toy.values(), at[1])


def test_validation_that_never_gives_a_number_keeps_the_last_parameters():
    plain, toy = Toy(), Toy(validate=lambda: float("nan"), validate_every=5)
    plain.run()
    assert toy.run().best_figure is None
    assert same(toy.values(), plain.values())


def test_the_moving_average_takes_the_place_of_the_last_parameters():
    toy, steps = Toy(drop=0, average=0.9, clip=None), by_torch(Toy(drop=0), batches_of(0, 5), clip=None)
    average, judged = {name: value.clone() for name, value in Toy().values().items()}, []
    for number, values in enumerate(steps, start=1):
        decay = min(0.9, number / (number + 10))
        average = {name: decay * old + (1 - decay) * values[name] for name, old in average.items()}
    toy.stage = replace(toy.stage, validate=lambda: judged.append(toy.values()) or 0.0, validate_every=100)
    toy.run()
    close(toy.values(), average)
    close(judged[0], average)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_very_step(value):
    toy, values = Toy(accumulate=2), []
    toy.stage = replace(toy.stage, loss=lambda b, share: toy.loss(b, share) * (value if len(toy.seen) == 14 else 1))
    with pytest.raises(TrainingError, match=r"stage toy, step 7: the loss is (nan|inf)"):
        toy.run(progress=lambda *told: values.append(toy.values()))
    assert len(toy.seen) == 14
    assert same(toy.values(), values[-1])  # the step was not taken


def test_a_gradient_that_is_no_number_stops_the_very_step():
    toy = Toy()

    def loss(batch, share):
        found = toy.loss(batch, share)
        return found if len(toy.seen) < 7 else found + (0 * toy.layer.weight.sum()).sqrt()  # adds 0, with slope 0 * inf

    toy.stage = replace(toy.stage, loss=loss)
    values = []
    with pytest.raises(TrainingError, match="stage toy, step 7: a gradient is not finite"):
        toy.run(progress=lambda *told: values.append(toy.values()))
    assert len(toy.seen) == 7
    assert same(toy.values(), values[-1])


def test_nothing_to_train_on_is_said():
    with pytest.raises(TrainingError, match="toy has no training examples"):
        Toy(epoch=lambda rng: []).run()


def test_no_steps_change_nothing(tmp_path):
    toy = Toy(steps=0, validate=lambda: 1.0)
    outcome = toy.run(tmp_path)
    assert (outcome.steps, outcome.best_figure) == (0, None)
    assert same(toy.values(), Toy().values())


def test_it_runs_outside_the_main_thread():
    toy, plain, failed = Toy(), Toy(), []

    def work():
        try:
            toy.run()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    plain.run()
    assert not failed
    assert same(toy.values(), plain.values())
