"""What tuning was worth as it went on: rows, seconds and validation -> results/NAME-curve.json, and plots of both.

    TASTEMAKER_DATA=DIR python -m benchmarks.curve collm-ml1m collm-ml1m-all

Reads the logs of rows that `benchmarks.preference` has measured in this checkout; measures nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import kept, plot
from benchmarks.preference import Bench, judge
from benchmarks.preference_rows import CLAIMS, Row
from tastemaker import evaluate
from tastemaker.artifacts import write_atomic
from tastemaker.evaluate import result
from tastemaker.evaluate.machine import machine

OTHERWISE = {"reading", "max_steps", "mode"}
"""Settings under which tuning is not so many times over all rows."""


@dataclass(frozen=True, slots=True)
class Point:
    """One look at validation."""

    rows: float
    """Training rows answered so far, one that came twice counted twice."""
    seconds: float
    figure: float


def points(log: Path, rows: float) -> list[Point]:
    """The looks of a tuning's first stage, in which ``rows`` were answered in all."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in log.read_text().splitlines()]
    lines = [line for line in lines if line["stage"] == lines[0]["stage"]]
    steps, spent, last, found = lines[-1]["step"], 0.0, 0.0, list[Point]()
    for line in lines:
        now = line["seconds"]
        spent += now - last if now >= last else now  # a run that was stopped and goes on counts from 0 again
        last = now
        if line.get("valid") is not None:
            found.append(Point(rows * line["step"] / steps, spent, line["valid"]))
    return found


def curves(bench: Bench) -> dict[str, list[Point]]:
    """By name, the rows whose one stage went over all training rows so many times."""
    found: dict[str, list[Point]] = {}
    for row in bench.claim.rows:
        log, whole = bench.run_dir(row) / "log.jsonl" if row.method == "collm" else None, not {*row.tuning} & OTHERWISE
        if log is not None and log.is_file() and whole and bench.there(row):
            found.setdefault(row.name, points(log, epochs(row) * len(bench.split.train)))
    return found


def epochs(row: Row) -> float:
    """How often the row's tuning goes over its training rows."""
    settings = judge(row).Config(**row.tuning)
    return float(settings.epochs)


def write(bench: Bench, found: dict[str, list[Point]], command: str, commit: str) -> Path:
    """The table, and one plot by rows and one by seconds beside it."""
    to = Path("results") / f"{bench.name}-curve.json"
    rows = tuple(
        result.Row(
            system=f"{name}, {one.rows:,.0f} rows",
            kind="validation",
            metrics={"figure": one.figure, "rows": one.rows, "seconds": one.seconds},
        )
        for name, several in found.items()
        for one in several
    )
    whole = result.Result(
        name=to.stem,
        protocol=bench.claim.protocol.name,
        command=command,
        commit=commit,
        data_hash=bench.split.hash,
        n=len(bench.split.valid),
        machine=machine(),
        seconds=round(sum(several[-1].seconds for several in found.values()), 1),
        rows=rows,
        metrics=("figure", "rows", "seconds"),
        describes="the mean of AUC and AUC within users on a part of validation, by the language model alone, before "
        "any fusion; rows answered and seconds of tuning so far, validation included",
        part="valid",
    )
    write_atomic(to, (whole.model_dump_json(indent=1) + "\n").encode())
    for what in ("rows", "seconds"):
        lines = {name: [(getattr(one, what), one.figure) for one in several] for name, several in found.items()}
        picture = plot.drawn(f"validation, by {what} of tuning", lines, zero=False)
        write_atomic(to.with_name(f"{to.stem}-{what}.svg"), picture.encode())
    return to


def main(arguments: Sequence[str] | None = None) -> None:
    """Write what the logs say."""
    asked = kept.asked("curve", __doc__ or "", CLAIMS, arguments)
    for name in asked.claims:
        bench = Bench(name, asked)
        if found := curves(bench):
            print(write(bench, found, asked.command(name), asked.commit))
    evaluate.write_pages(".")


if __name__ == "__main__":
    main()
