"""The learning rate as a function of the optimiser step."""

from __future__ import annotations

from itertools import pairwise

import pytest
from torch import nn

from tastemaker.tuning.stages import Group, Stage


def rates(**options):
    stage = Stage(name="s", epoch=lambda rng: [], loss=lambda batch, share: batch, groups={}, **options)
    return [stage.rate(step) for step in range(stage.steps + 1)]


def test_the_rate_rises_in_a_line_to_its_peak_and_falls_along_a_cosine_to_its_floor():
    found = rates(steps=100, warmup=0.1, floor=0.02)
    assert found[:10] == pytest.approx([0.01 + 0.99 * (step + 1) / 10 for step in range(10)])
    assert found[9] == found[10] == 1
    assert found[55] == pytest.approx((1 + 0.02) / 2)  # half way down
    assert found[100] == pytest.approx(0.02)
    assert all(later < earlier for earlier, later in pairwise(found[10:]))


def test_by_default_a_twentieth_warms_up_and_a_hundredth_is_left():
    found = rates(steps=200)
    assert found.index(1.0) == 9
    assert found[-1] == pytest.approx(0.01)


@pytest.mark.parametrize("steps", [1, 2, 3, 19])
def test_short_stages_start_at_the_peak_and_never_leave_the_range(steps):
    found = rates(steps=steps)[:-1]
    assert found[0] == 1
    assert all(0.01 <= rate <= 1 for rate in found)


def test_parameters_are_named_by_group():
    layer = nn.Linear(1, 1)
    groups = {"a": Group({"w": layer.weight}, 1e-3), "b": Group({"w": layer.bias}, 1e-3)}
    stage = Stage(name="s", steps=1, epoch=lambda rng: [], loss=lambda batch, share: batch, groups=groups)
    assert list(stage.parameters) == ["a/w", "b/w"]
    assert stage.parameters["b/w"] is layer.bias
