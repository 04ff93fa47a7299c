"""``python -m benchmarks.speed.memory scoring|tuning`` -> the most memory that work held, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import torch

from benchmarks import prompts
from benchmarks.speed import works
from tastemaker.evaluate.machine import peak_memory
from tastemaker.llm.encoding import Encoded
from tastemaker.llm.local import LocalLM

USERS = 16


def peak(work: str, llm: str) -> float:
    """GB, model and libraries included."""
    done = subprocess.run(  # noqa: S603  ourselves
        [sys.executable, "-m", "benchmarks.speed.memory", work, llm], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def main(work: str, llm: str) -> None:
    """Do the work at the default budget of positions, then say what it took."""
    lm, shelf = LocalLM.load(llm), prompts.made_up()
    if work == "scoring":
        works.titles(lm, prompts.choices(shelf, USERS, candidates=100))()
        works.default(lm, prompts.likings(shelf, USERS))()
    else:
        examples = [one.example for one in prompts.choices(shelf, USERS)]
        works.Tuning(lm)(examples)
        # A batch of timelines: the budget of positions filled to the last.
        torch.set_grad_enabled(True)
        lm.hidden([Encoded([100] * 64, [])] * 32).float().square().mean().backward()
    print(peak_memory() / 1e9)


if __name__ == "__main__":
    main(*sys.argv[1:])
