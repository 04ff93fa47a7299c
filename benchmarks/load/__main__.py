"""The service's goals under load -> results/serve-load.json: a quarter of an hour, with all clients on its machine.

python -m benchmarks.load [--only talking listing ...] [--out FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.load import shop
from benchmarks.load.goals import GOALS, Amounts
from tastemaker import evaluate
from tastemaker.artifacts import write_atomic
from tastemaker.evaluate.machine import commit, machine
from tastemaker.evaluate.result import Result, Row
from tastemaker.llm.local import LocalLM
from tastemaker.prompts.prompt import Prompt

LLM = "smollm2-135m"
OUT = Path("results/serve-load.json")


def streaming(tokens: int = 64) -> list[Row]:
    """The local model: when its first word is there, and how fast the others follow."""
    lm = LocalLM.load(LLM)
    prompt = lm.asked(Prompt.of("What makes a good film? " + "Tell about pictures, music and words. " * 20))
    list(lm.stream(prompt, max_new_tokens=2, stop=""))
    begun, times = time.perf_counter(), list[float]()
    for _ in lm.stream(prompt, max_new_tokens=tokens, stop=""):
        times.append(time.perf_counter() - begun)
    note = f"after a prompt of {lm.length(prompt)} tokens, in {str(lm.dtype).removeprefix('torch.')}"
    rate = (len(times) - 1) / (times[-1] - times[0])
    return [
        Row(
            system=f"{LLM}: ms to the first token",
            kind="local model",
            metrics={"measured": 1000 * times[0]},
            notes=note,
        ),
        Row(system=f"{LLM}: tokens a second after it", kind="local model", metrics={"measured": rate}, notes=note),
    ]


def main(arguments: Sequence[str] | None = None, amounts: Amounts | None = None) -> Path:
    """Measure, and write what was measured, every goal as soon as it is."""
    line = argparse.ArgumentParser("python -m benchmarks.load", description=__doc__)
    names = [*(goal.__name__ for goal in GOALS), streaming.__name__]
    line.add_argument("--only", nargs="*", choices=names, default=names)
    line.add_argument("--out", type=Path, default=OUT)
    asked = line.parse_args(arguments)
    for goal in GOALS:
        if goal.__name__ in asked.only:
            begun = time.monotonic()
            _write(asked.out, goal.__name__, asyncio.run(goal(amounts or Amounts())), begun)
    if streaming.__name__ in asked.only:
        begun = time.monotonic()
        _write(asked.out, streaming.__name__, streaming(), begun)
    if asked.out.parent == OUT.parent:
        evaluate.write_pages(".")
    return asked.out


def _write(to: Path, goal: str, found: Sequence[Row], begun: float) -> None:
    """The file with this goal's rows in it, beside those of other goals that were measured on this machine."""
    seconds, rows = (
        time.monotonic() - begun,
        [row.model_copy(update={"goal": goal, "commit": commit()}) for row in found],
    )
    print(f"{goal} in {seconds:.0f} s", file=sys.stderr)
    if to.is_file() and (before := evaluate.read_result(to)).machine == machine():
        order = [*(one.__name__ for one in GOALS), streaming.__name__]
        rows += [row for row in before.rows if getattr(row, "goal", goal) != goal]
        rows.sort(key=lambda row: order.index(getattr(row, "goal", goal)))
        seconds += before.seconds
    result = Result(
        name=to.stem,
        protocol="load",
        command="python -m benchmarks.load",
        commit=commit(),
        data_hash=shop.films(20, 30).hash,
        n=sum(int(row.metrics.get("requests", 0)) for row in rows),
        machine=machine(),
        seconds=round(seconds, 1),
        rows=tuple(rows),
        metrics=("measured", "target", "requests", "p50", "p95", "p99"),
        describes="made-up films, a scripted language model, real sockets; n counts requests",
    )
    to.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(to, (json.dumps(result.model_dump(mode="json"), indent=1, allow_nan=False) + "\n").encode())


if __name__ == "__main__":
    print(main())
