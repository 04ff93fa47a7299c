"""Packing: every target follows its slot, budgets are kept, the newest items stay."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.llm.encoding import Encoded
from tastemaker.prompts import ItemSlot
from tastemaker.tuning.timeline import Packer, shuffled_ties

ITEMS = 12


def packer(sizes, head, budget):
    """Items of these sizes, each text and then its slot; every token says whose it is."""
    pieces = [
        Encoded([100 * (item + 1)] * (size - 1) + [0], [(size - 1, ItemSlot(item))]) for item, size in enumerate(sizes)
    ]
    return Packer(Encoded([7] * head, []), pieces, budget)


def items_of(encoded, sizes, head):
    """The items laid out, after a check that nothing but head, pieces and slots stands there."""
    assert encoded.ids[:head] == [7] * head
    position, items = head, []
    for at, slot in encoded.slots:
        size = sizes[slot.item]
        assert encoded.ids[position : position + size] == [100 * (slot.item + 1)] * (size - 1) + [0]
        assert at == position + size - 1
        position, items = position + size, [*items, slot.item]
    assert position == len(encoded)
    return items


worlds = st.tuples(
    st.lists(st.integers(1, 9), min_size=ITEMS, max_size=ITEMS), st.integers(0, 5), st.integers(6, 40)
)  # sizes, head, budget
histories = st.lists(st.integers(0, ITEMS - 1), max_size=30)


@settings(max_examples=60)
@given(worlds, st.lists(histories, max_size=5), st.integers(0, 2**16))
def test_every_item_but_the_first_is_asked_for_once_right_after_the_one_before_it(world, sequences, seed):
    sizes, head, budget = world
    made = packer(sizes, head, budget)
    arrays = [np.array(sequence, dtype=np.int32) for sequence in sequences]
    per_window = max(1, int((budget - head) / np.mean(sizes)))
    rng = np.random.default_rng(seed)
    for array in arrays:
        timelines = list(made.timelines([array], rng))
        pairs = []
        for timeline in timelines:
            items = items_of(timeline.encoded, sizes, head)
            assert len(items) == len(timeline.targets) == len(timeline.reads) >= 1
            assert timeline.reads == [position for position, _ in timeline.encoded.slots]
            assert items[1:] == timeline.targets[:-1].tolist()
            assert len(timeline.encoded) <= budget or len(items) == 1
            pairs.append(list(zip(items, timeline.targets.tolist(), strict=True)))
        asked = [pair for window in reversed(pairs) for pair in window]
        whole = list(pairwise(array.tolist()))
        assert asked == whole[: len(asked)]
        # Only a cut end may be missing, of a sequence that does not fit into one timeline anyway.
        assert len(whole) - len(asked) <= (per_window // 2 if len(array) > per_window else 0)


@settings(max_examples=60)
@given(worlds, histories)
def test_latest_keeps_the_newest_items_that_fit_and_at_least_one(world, history):
    sizes, head, budget = world
    encoded = packer(sizes, head, budget).latest(history)
    kept = items_of(encoded, sizes, head)
    assert kept == history[len(history) - len(kept) :]
    assert bool(kept) == bool(history)
    assert len(encoded) <= budget or len(kept) == 1
    if len(kept) < len(history):
        assert len(encoded) + sizes[history[-len(kept) - 1]] > budget


def test_cuts_differ_by_epoch_but_not_by_chance():
    made, sequence = packer([1] * ITEMS, 2, 8), np.arange(60, dtype=np.int32) % ITEMS

    def cuts(seed):
        return [timeline.targets.tolist() for timeline in made.timelines([sequence], np.random.default_rng(seed))]

    assert cuts(1) == cuts(1)
    assert len({str(cuts(seed)) for seed in range(8)}) > 1


def test_a_sequence_that_fits_is_never_cut():
    made, sequence = packer([1] * ITEMS, 2, 20), np.arange(10, dtype=np.int32)
    for seed in range(8):
        (timeline,) = made.timelines([sequence], np.random.default_rng(seed))
        assert timeline.targets.tolist() == list(range(1, 10))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 99)), max_size=20), st.integers(0, 2**16))
def test_only_what_happened_at_once_changes_places(rows, seed):
    rows = sorted(rows, key=lambda row: row[0])
    times, items = [time for time, _ in rows], np.array([item for _, item in rows], dtype=np.int32)
    found = shuffled_ties(items, times, np.random.default_rng(seed))
    for time in set(times):
        at = [i for i, t in enumerate(times) if t == time]
        assert sorted(found[at]) == sorted(items[at])


def test_ties_are_shuffled_and_unknown_times_are_not():
    items = np.arange(30, dtype=np.int32)
    assert shuffled_ties(items, [5] * 30, np.random.default_rng(0)).tolist() != items.tolist()
    assert shuffled_ties(items, [None] * 30, np.random.default_rng(0)).tolist() == items.tolist()


@pytest.mark.parametrize("length", [0, 1])
def test_what_asks_for_nothing_makes_no_timeline(length):
    sequence = np.zeros(length, dtype=np.int32)
    assert list(packer([1] * ITEMS, 2, 8).timelines([sequence], np.random.default_rng(0))) == []
