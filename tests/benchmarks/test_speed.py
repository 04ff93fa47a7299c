"""The engine stays as much faster than the naive recipes as it was when that was recorded, and right."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import naive, prompts
from benchmarks.speed import short, works
from benchmarks.speed.__main__ import SHORT
from benchmarks.speed.ceiling import ceiling
from benchmarks.speed.duel import Duel
from benchmarks.speed.growth import Point, plot
from tastemaker.evaluate import read_result
from tastemaker.llm import scoring
from tastemaker.prompts.prompt import Prompt
from tastemaker.testing.tiny_llm import tiny_lm

RECORDED = Path(__file__).parents[2] / "results" / "bench-short.json"
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


@pytest.mark.timing
def test_no_ratio_falls_below_six_tenths_of_what_was_recorded():
    recorded = {row.system: row.metrics["ratio"] for row in read_result(RECORDED).rows if row.kind == SHORT}
    assert recorded
    found = short.ratios()
    slow = {name: (ratio, recorded[f"{name}, {SHORT}"]) for name, ratio in found.items()}
    assert {name: both for name, both in slow.items() if both[0] < 0.6 * both[1]} == {}


def test_both_sides_of_yes_and_no_say_the_same(tmp_path):
    lm = tiny_lm()
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    (asked,) = prompts.likings(prompts.made_up(n_users=1), 1, targets=6)
    ids = [lm.encode(Prompt.of(answer), start=False).ids[0] for answer in (" Yes", " No")]
    branches = [[lm.encode(Prompt.of(text), start=False) for text in asked.clauses]]
    with lm.answering():
        (ours,) = scoring.branch_logits(lm, [lm.encode(Prompt.of(asked.shared))], branches, ids)
    other = naive.load(tmp_path, dtype=lm.dtype, threads=1)
    theirs = naive.ask(other, asked.prompts).scores
    assert (ours[:, 0] - ours[:, 1]).tolist() == pytest.approx(theirs, abs=1e-3)


def test_both_sides_of_tuning_have_the_same_losses(tmp_path):
    lm = tiny_lm()
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    examples = [one.example for one in prompts.choices(prompts.made_up(), 16)]
    other = naive.load(tmp_path, dtype=lm.dtype, threads=1)
    assert works.Tuning(lm)(examples)[0] == pytest.approx(naive.Tuner(other)(examples).losses[0], rel=1e-3)


def test_the_ratio_is_the_median_over_the_pairs():
    duel = Duel((1.0, 2.0, 1.0), (3.0, 2.0, 2.0))
    assert duel.ratio == 2.0
    assert duel.spread == (1.0, 3.0)


def test_the_ceiling_counts_every_product_once():
    lm = tiny_lm(hidden_size=32, layers=2)
    found = ceiling(lm, 2, 8)
    weights = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64
    seen = 2 * 4 * 8 * 8 / 2  # rows, heads, and half of the pairs of positions
    assert found.flops == 2 * (2 * 16 * weights + 2 * 2 * seen * 8)
    assert found.tokens == 16


def test_the_plot_has_a_line_for_each_history():
    points = [Point("yes/no", c, h, 10.0 / c, 1.0) for h in (10, 50) for c in (20, 50, 100)]
    assert plot(points).count("<polyline") == 2
