"""The engine against the naive recipes and the machine -> results/bench.json and a plot: ``tastemaker bench``."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks import naive, prompts
from benchmarks.speed import growth, machine, memory, others, short, works
from benchmarks.speed.works import Measured
from tastemaker import evaluate
from tastemaker.artifacts import write_atomic
from tastemaker.data import load_dataset
from tastemaker.evaluate.machine import commit
from tastemaker.evaluate.machine import machine as this_machine
from tastemaker.evaluate.result import Result, Row
from tastemaker.llm import zoo
from tastemaker.llm.local import LocalLM, fastest
from tastemaker.types import Progress, quiet

LLM = "smollm2-135m"
TARGETS = {
    "1 of 20, titles scored": 5.5,
    "1 of 20, letters": 8.0,
    "yes/no, the papers' template": 6.0,
    "yes/no, default template": 14.0,
    "tuning": 2.5,
    "forward": 0.70,
    "forward, compiled": 0.85,
    "tuning, both ways": 0.55,
    "prompt processing against llama.cpp": 1.0,
    "an epoch of SASRec, RecTools, ML-100K": 3.0,
    "an epoch of SASRec, RecBole, ML-100K": 3.0,
    "an epoch of SASRec, RecTools, ML-1M": 3.0,
    "an epoch of SASRec, RecBole, ML-1M": 3.0,
    "full-catalogue HR and NDCG, ML-1M": 3.0,
    "a target after the first, share of the first": 0.15,
    "scoring, at the default budget": 1.5,
    "tuning, at the default budget": 4.0,
}
"""What we set out to reach; shown beside what was reached."""
SHORT = "short form"
ALONE = ("short",)
"""Parts that are measured when they are named: each has a file of its own."""


def main(arguments: Sequence[str] | None = None, progress: Progress = quiet) -> Result:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(prog="tastemaker bench", description=__doc__)
    parser.add_argument("--users", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", choices=sorted(PARTS), help="this part and no other; repeat it")
    parser.add_argument("--llm", default=LLM)
    parser.add_argument("--out", type=Path, default=Path("results/bench.json"))
    asked = parser.parse_args(arguments)
    torch.set_num_threads(2)
    parts = asked.only or [part for part in PARTS if part not in ALONE]
    for done, part in enumerate(parts):
        progress("bench", done, len(parts), part)
        started = time.monotonic()
        rows = [row.model_copy(update={"part": part, "commit": commit()}) for row in PARTS[part](asked)]
        result = _written(asked, part, rows, time.monotonic() - started, arguments)
    progress("bench", 1, 1)
    if asked.out.parent == Path("results"):
        evaluate.write_pages(".")
    return result


def _written(
    asked: argparse.Namespace, part: str, rows: Sequence[Row], seconds: float, arguments: Sequence[str] | None
) -> Result:
    """The file with the part in it at once, beside the parts that are there already, if they are of this machine."""
    result = Result(
        name=asked.out.stem,
        protocol="speed",
        command=shlex.join(["tastemaker", "bench", *(sys.argv[1:] if arguments is None else arguments)]),
        commit=commit(),
        data_hash=load_dataset("ml-100k").hash,
        n=asked.users,
        machine=f"{this_machine()}, {torch.get_num_threads()} threads",
        seconds=round(seconds, 1),
        rows=tuple(rows),
        metrics=("ratio", "target", "ours", "theirs", "lowest", "highest"),
        describes="ours and theirs in turns on the same users; ratio is the median over the turns",
        settings={"users": asked.users, "rounds": asked.rounds, "llm": asked.llm, "numbers": _numbers()},
    )
    if asked.out.is_file():
        before = evaluate.read_result(asked.out)
        if (before.machine, before.settings) == (result.machine, result.settings):
            kept = [row for row in before.rows if getattr(row, "part", part) != part]
            order = {name: place for place, name in enumerate(PARTS)}
            both = sorted([*kept, *rows], key=lambda row: order[getattr(row, "part", part)])
            result = result.model_copy(update={"rows": tuple(both), "seconds": round(before.seconds + seconds, 1)})
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(asked.out, (json.dumps(result.model_dump(mode="json"), indent=1, allow_nan=False) + "\n").encode())
    return result


def _numbers() -> str:
    """What language models compute with here, which decides what all other figures can be compared with."""
    return str(fastest(torch.device("cpu"))).removeprefix("torch.")


def _shelf() -> prompts.Shelf:
    return prompts.of_split(load_dataset("ml-100k").split("leave-one-out"))


def _pair(asked: argparse.Namespace) -> tuple[LocalLM, naive.Loaded]:
    lm = LocalLM.load(asked.llm)
    return lm, naive.load(zoo.resolve(asked.llm, quiet), dtype=lm.dtype)


def _choosing(asked: argparse.Namespace) -> list[Row]:
    return [_duel(one) for one in works.choosing(*_pair(asked), _shelf(), asked.users, asked.rounds)]


def _liking(asked: argparse.Namespace) -> list[Row]:
    lm, other = _pair(asked)
    rows = [_duel(one) for one in works.liking(lm, other, _shelf(), asked.users, asked.rounds)]
    share = growth.later_targets(lm, _shelf())
    name = "a target after the first, share of the first"
    return [*rows, Row(system=name, kind="yes/no", metrics={"ratio": share, "target": TARGETS[name]})]


def _tuning(asked: argparse.Namespace) -> list[Row]:
    measured, losses = works.tuning(*_pair(asked), _shelf(), asked.users, asked.rounds)
    apart = sum(abs(a - b) for a, b in losses) / len(losses)
    row = _duel(measured)
    note = f"losses of {len(losses)} steps differ by {apart:.3f} in the mean, around {losses[0][1]:.2f}"
    return [row.model_copy(update={"notes": note})]


def _machine(asked: argparse.Namespace) -> list[Row]:
    lm = LocalLM.load(asked.llm)
    found = [machine.forward(lm), machine.tuning(lm), machine.compiled(lm)]
    names = ("forward", "tuning, both ways", "forward, compiled")
    return [
        Row(
            system=name,
            kind="share of the machine's ceiling",
            metrics={"ratio": one.share, "target": TARGETS[name], "ours": one.tokens_per_second, "theirs": one.ceiling},
            notes=f"tokens per second; compiling took {one.warm_up:.0f} s" if one.warm_up else "tokens per second",
        )
        for name, one in zip(names, found, strict=True)
    ]


def _memory(asked: argparse.Namespace) -> list[Row]:
    return [
        Row(
            system=name,
            kind="most memory, GB",
            metrics={"ours": memory.peak(name.partition(",")[0], asked.llm), "target": TARGETS[name]},
        )
        for name in ("scoring, at the default budget", "tuning, at the default budget")
    ]


def _growth(asked: argparse.Namespace) -> list[Row]:
    points = growth.measure(LocalLM.load(asked.llm), _shelf())
    if asked.out.parent == Path("results"):
        write_atomic(asked.out.with_suffix(".svg"), growth.plot(points).encode())
    return [
        Row(
            system=f"{point.candidates} candidates after {point.history} titles, {point.way}",
            kind="growth",
            metrics={"ours": point.users_per_second},
            notes=f"users per second; {1000 / point.users_per_second / point.candidates:.2f} ms a candidate, "
            f"{point.tokens_per_second:,.0f} tokens per second",
        )
        for point in points
    ]


def _short(asked: argparse.Namespace) -> list[Row]:
    note = "on a tiny model; the tests fail below 60 % of it"
    return [
        Row(system=f"{name}, short form", kind=SHORT, metrics={"ratio": ratio}, notes=note)
        for name, ratio in short.ratios().items()
    ]


def _peers(asked: argparse.Namespace) -> list[Row]:
    return [
        row.model_copy(update={"metrics": {**row.metrics, **_target(row.system)}}) for row in others.measure(asked.llm)
    ]


def _target(name: str) -> dict[str, float]:
    return {"target": TARGETS[name]} if name in TARGETS else {}


def _duel(one: Measured) -> Row:
    low, high = one.duel.spread
    ours, theirs = (one.amount / sorted(found)[len(found) // 2] for found in (one.duel.ours, one.duel.theirs))
    return Row(
        system=one.name,
        kind="against the naive recipe",
        metrics={
            "ratio": one.duel.ratio,
            **_target(one.name),
            "ours": ours,
            "theirs": theirs,
            "lowest": low,
            "highest": high,
        },
        notes=f"{one.unit} per second",
    )


PARTS: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "choosing": _choosing,
    "liking": _liking,
    "tuning": _tuning,
    "machine": _machine,
    "memory": _memory,
    "growth": _growth,
    "short": _short,
    "peers": _peers,
}

if __name__ == "__main__":
    main()
