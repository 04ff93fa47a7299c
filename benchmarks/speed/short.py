"""The comparisons with the naive recipes on a tiny made-up model: a minute, no downloads, for the tests.

In fp32 and on one thread, whatever the machine is fastest with: ratios recorded on one kind of machine have to say
something on another, and where bf16 is not in hardware nobody would run the naive recipes in it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from benchmarks import naive, prompts
from benchmarks.speed import works
from tastemaker.llm.local import LocalLM
from tastemaker.testing.tiny_llm import tiny_lm

USERS, ROUNDS, THREADS = 4, 3, 1


def ratios() -> dict[str, float]:
    """How many times as long the naive recipe takes for each piece of work."""
    shelf, before = prompts.made_up(), torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="tiny-") as place:
        tiny = tiny_lm(hidden_size=128, layers=4)
        tiny.model.save_pretrained(place)
        tiny.tokenizer.save_pretrained(place)
        try:
            lm = LocalLM.load(Path(place), dtype="float32", device="cpu")
            other = naive.load(place, dtype=lm.dtype, threads=THREADS)
            found = [
                *works.choosing(lm, other, shelf, USERS, ROUNDS),
                *works.liking(lm, other, shelf, USERS, ROUNDS),
                works.tuning(lm, other, shelf, USERS, ROUNDS)[0],
            ]
        finally:
            torch.set_num_threads(before)
    return {one.name: one.duel.ratio for one in found}
