"""The default reading: a packed timeline says at every item what the same history says alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from quick_llara import TIMELINE

from tastemaker.llm import texts
from tastemaker.methods.llara import LLaRA
from tastemaker.prompts import Item as ItemText
from tastemaker.prompts import Prompt
from tastemaker.testing.methods import ODD, asked, chains, under
from tastemaker.testing.tiny_llm import FAMILIES, tiny_lm
from tastemaker.tuning.stages import Group
from tastemaker.types import Item, Query


def loss_of(method, batch):
    """The training loss of timelines, nothing dropped."""
    before, method.config = method.config, method.config.model_copy(update={"dropout": 0.0})
    method.reading.projector.hybrid = method.shows_vectors
    try:
        return method.reading._loss(batch)
    finally:
        method.config = before
        method.llm.model.eval()


@pytest.fixture(params=["hybrid", "text", "behaviour", "index"])
def reading(request):
    """Every content, tuned for two steps."""
    settings = {**TIMELINE, "content": request.param, "epochs": 1, "batch_positions": 1024, "fusion": False}
    return LLaRA(tiny_lm(), under(), **settings).tune(chains()).reading


def test_every_position_of_a_timeline_answers_as_its_history_alone(reading):
    timelines = list(reading.packer.timelines(chains().sequences[:5], np.random.default_rng(0)))
    sequences = [[slot.item for _, slot in one.encoded.slots] for one in timelines]
    alone = [
        -reading.score([Query(tuple(items[: k + 1]))])[0][one.targets[k]]
        for one, items in zip(timelines, sequences, strict=True)
        for k in range(len(items))
    ]
    assert len(alone) > 20
    assert loss_of(reading.method, timelines).item() == pytest.approx(np.mean(alone), abs=1e-4)


def test_titles_are_read_where_the_content_shows_them(reading):
    content = reading.method.config.content
    assert (reading.method.texts is None) == (content in ("behaviour", "index"))
    width = {"hybrid": 8 + 4, "text": 4, "behaviour": 8, "index": 8}[content]
    assert reading.head.vectors.shape[1] == width


def test_scores_are_log_probabilities_of_the_whole_catalogue(timeline):
    scores = timeline.reading.score(asked(chains()))
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-4)


def test_the_order_in_which_candidates_are_shown_does_not_matter(timeline):
    queries = asked(chains(), candidates=20)
    turned = [replace(query, candidates=query.candidates[::-1]) for query in queries]
    for one, two in zip(timeline.score(queries), timeline.score(turned), strict=True):
        np.testing.assert_array_equal(one, two[::-1])


def test_a_long_history_is_read_from_its_newest_end(timeline):
    long = tuple(Item(i % 30) for i in range(200))
    config = timeline.config
    read = timeline.reading.packer.latest(long[-config.history :])
    assert len(read) <= config.positions
    newest = tuple(slot.item for _, slot in read.slots)
    assert newest == long[-len(newest) :]
    one, two = timeline.reading.score([Query(long), Query(newest)])
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_an_older_setting_reads_less():
    method = LLaRA(tiny_lm(), under(), **{**TIMELINE, "history": 3, "epochs": 1, "fusion": False}).tune(chains())
    long, short = (tuple(map(Item, items)) for items in ((9, 8, 7, 0, 1, 2), (0, 1, 2)))
    np.testing.assert_array_equal(*method.score([Query(long), Query(short)]))


def test_what_happened_at_the_same_time_comes_in_an_order_of_each_epochs_own(timeline):
    tied = replace(chains(), train=chains().train.with_columns(time=0))

    def orders(split, seed):
        (stage,) = timeline.reading.stages(split, Group({}, 1.0))
        shown = [one for batch in stage.epoch(np.random.default_rng(seed)) for one in batch]
        return sorted(tuple(int(slot.item) for _, slot in one.encoded.slots) for one in shown)

    assert orders(chains(), 1) == orders(chains(), 2)
    assert orders(tied, 1) != orders(tied, 2)


def test_the_states_the_head_reads_are_thinned_in_training_alone(timeline):
    (stage,) = timeline.reading.stages(chains(), Group({}, 1.0))
    batch = stage.epoch(np.random.default_rng(0))[0]
    before = timeline.config
    losses = {}
    try:
        for rate in (0.0, 0.5):
            timeline.config = before.model_copy(update={"dropout": rate})
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                losses[rate] = [stage.loss(batch, 0.5).item() for _ in range(2)]
    finally:
        timeline.config = before
        timeline.llm.model.eval()
    assert losses[0.0][0] == losses[0.0][1]
    assert losses[0.5][0] != losses[0.5][1]
    queries = asked(chains(), n=2)
    np.testing.assert_array_equal(timeline.reading.score(queries), timeline.reading.score(queries))


def test_accumulation_is_heard():
    settings = {**TIMELINE, "epochs": 8}
    steps = {}
    for accumulate in (1, 4):
        method = LLaRA(tiny_lm(), under(), **settings, accumulate=accumulate)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "tastemaker.tuning.loop.run", lambda stage, **options: steps.update({stage.accumulate: stage.steps})
            )
            method.tune(chains())
    assert steps[4] == round(steps[1] / 4)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_item_is_one_slot_and_titles_make_no_tokens(family):
    method = LLaRA(tiny_lm(family), under(), **{**TIMELINE, "epochs": 0}).tune(chains())
    packer = method.reading.packer
    assert [piece.ids for piece in packer.pieces] == [[method.llm.encode.placeholder]] * len(packer.pieces)
    assert [piece.slots[0][1].item for piece in packer.pieces] == list(range(len(packer.pieces)))
    encoded = packer.latest(list(ODD))
    assert len(encoded) == len(method.llm.encode(Prompt.of(method.opening))) + len(ODD)


def titles(*words):
    return [Prompt.of(ItemText(Item(i), word)) for i, word in enumerate(words)]


def test_text_vectors_are_white_and_the_same_whatever_is_beside_them():
    lm = tiny_lm()
    prompts = titles(
        "Alien", "Heat", "Jaws and more of it than fits", "Ran", "Fargo", "1984", "Amélie", "Twelve Monkeys"
    )
    found = texts.text_vectors(lm, prompts, 4)
    assert found.shape == (8, 4)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.T @ found / 8, np.eye(4), atol=1e-4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts.scoring, "budget", lambda lm: 1)  # one text a pass
        np.testing.assert_allclose(texts.text_vectors(lm, prompts, 4), found, atol=1e-3)
    np.testing.assert_array_equal(texts.text_vectors(lm, prompts, 4), found)


def test_equal_texts_have_equal_vectors_and_few_texts_few_columns():
    found = texts.text_vectors(tiny_lm(), titles("Heat", "Alien", "Heat"), 64)
    assert found.shape == (3, 3)
    np.testing.assert_allclose(found[0, :1], found[2, :1], atol=1e-4)
    assert np.isfinite(texts.text_vectors(tiny_lm(), titles("Heat"), 4)).all()


def test_text_vectors_need_neither_gradients_nor_the_global_generator():
    before = torch.random.get_rng_state()
    texts.text_vectors(tiny_lm(), titles("Heat", "Jaws"), 2)
    assert torch.equal(before, torch.random.get_rng_state())
