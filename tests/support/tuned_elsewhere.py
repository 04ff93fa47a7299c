"""``python -m tuned_elsewhere FOLDER``: tunes each run of `RUNS` until a signal comes, and says how it ended."""

from __future__ import annotations

import sys
from pathlib import Path

from tastemaker.errors import Interrupted
from tastemaker.llm import adapters
from tastemaker.methods.llara import LLaRA
from tastemaker.testing.methods import chains, under
from tastemaker.testing.tiny_llm import tiny_lm

STOP = 5
RUNS = {
    "timeline": {
        "steps": 36,
        "settings": {
            "content": "hybrid",
            "curriculum": "linear",
            "epochs": 3,
            "batch_positions": 256,
            "validate_every": 4,
            "lora_dropout": 0.3,
        },
    },
    "choice": {
        "steps": 9,
        "settings": {
            "mode": "faithful",
            "candidates": 5,
            "max_steps": 9,
            "batch_rows": 4,
            "accumulate": 3,
            "validate_every": 2,
            "validate_cases": 4,
        },
    },
}
"""Dropout, curriculum, moving average, accumulation, and a validation before and after the place of the stop."""


def tuned(name, run_dir, progress=None):
    """The run, from its beginning or from where it was stopped."""
    method = LLaRA(tiny_lm(), under(), **RUNS[name]["settings"])
    return method.tune(chains(), seed=4, run_dir=Path(run_dir), **({"progress": progress} if progress else {}))


def parameters(method):
    """All that was trained, by name."""
    modules = {f"{m}/{n}": p for m, module in method.reading.modules().items() for n, p in module.state_dict().items()}
    return {**adapters.adapter_state(method.llm), **{name: p.numpy() for name, p in modules.items()}}


def main(folder):
    for name in RUNS:

        def wait(task, done, total=None, note="", name=name):
            if done == STOP and note:
                print(f"at {name}", flush=True)
                sys.stdin.readline()

        try:
            tuned(name, Path(folder) / name, wait)
        except Interrupted as stopped:
            print(name, stopped.exit_code, stopped, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
