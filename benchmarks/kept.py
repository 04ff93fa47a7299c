"""Rows that are measured one at a time and kept -> the tables under results/, made from those that are there.

A row is kept as soon as it is measured, by all that decides what it says, so a command that was stopped, or given one
row at a time, goes on where it was; and with the commit it was measured at, which a later table tells.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from tastemaker import artifacts, evaluate
from tastemaker.evaluate import Evaluation
from tastemaker.evaluate.machine import commit

RUNS = Path("runs/claims")
SEEDS = (0, 1, 2)
FLAGS = ("only", "seeds", "again")
"""Of the command line: those that decide which rows are measured, and so what a file says."""
R = TypeVar("R")
Arrays = dict[str, np.ndarray[Any, Any]]


class Asked(argparse.Namespace):
    """What the command line asks for."""

    program: str
    commit: str
    """Of the checkout as the command began: that of the code it runs."""
    claims: Sequence[str]
    only: Sequence[str] | None
    write: bool

    def wants(self, row: str) -> bool:
        """Whether it asks for the row of that id: for all, or for those that begin so."""
        return self.only is None or any(row.startswith(one) for one in self.only)

    def command(self, claim: str, *, whole: bool = False) -> str:
        """What was typed for that claim; without flags for the ``whole`` of it, which they had no part in choosing."""
        words = ["python", "-m", f"benchmarks.{self.program}", claim]
        for name in () if whole else FLAGS:
            value = getattr(self, name, None)
            if value not in (None, False):
                words += [f"--{name}", *([] if value is True else map(str, value))]
        return shlex.join(words)


def parser(program: str, about: str, claims: Iterable[str]) -> argparse.ArgumentParser:
    """The command line all claims have."""
    found = argparse.ArgumentParser(
        f"python -m benchmarks.{program}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.set_defaults(program=program, commit=commit())
    found.add_argument("claims", nargs="*", default=list(claims), help=", ".join(claims))
    found.add_argument("--only", nargs="*", metavar="ROW", help="measure these rows (their names begin so)")
    found.add_argument("--write", action="store_true", help="measure nothing that is kept, write what is there")
    return found


def asked(program: str, about: str, claims: Iterable[str], arguments: Sequence[str] | None, **switches: str) -> Asked:
    """What the command line of claims with kept rows says; ``switches`` are further flags and their help."""
    line = parser(program, about, sorted(claims))
    line.add_argument("--seeds", type=int, nargs="*", help="measure these seeds only")
    line.add_argument("--list", action="store_true", help="name the rows and whether they are there")
    for name, told in switches.items():
        line.add_argument(f"--{name}", action="store_true", help=told)
    return line.parse_args(arguments, Asked())


class Bench(Protocol):
    """One claim being measured."""

    claim: Any

    def measure(self, row: Any) -> None:
        """Keep what the row answers, unless it is kept."""

    def there(self, row: Any) -> bool:
        """Whether it is kept."""

    def write(self) -> list[Path]:
        """The tables under results/, from the rows that are there; none without the focus."""


def run(asked: Asked, bench_of: Callable[[str], Bench]) -> None:
    """Measure what is asked for, then write the tables and the pages made from them; or list the rows."""
    for name in asked.claims:
        bench = bench_of(name)
        if asked.list:
            print(*(f"{row.id} {'there' if bench.there(row) else 'missing'}" for row in bench.claim.rows), sep="\n")
            continue
        for row in () if asked.write else bench.claim.rows:
            if asked.wants(row.id) and (asked.seeds is None or row.seed in asked.seeds):
                bench.measure(row)
        written = bench.write()
        print(*written if written else [f"{name}: {bench.claim.focus} is not measured yet; nothing is written"])
    if not asked.list:
        evaluate.write_pages(".")


def save(path: Path, asked: Asked, arrays: Arrays, **took: Any) -> None:
    """Keep a row's answers, with what it took and the commit it was measured at."""
    artifacts.save(path, kind="claim-row", arrays=arrays, json={"row": {**took, "commit": asked.commit}})


def arrays(path: Path) -> Arrays:
    """A kept row's answers."""
    return artifacts.load(path, "claim-row").arrays()


def took(path: Path) -> dict[str, Any]:
    """What was kept beside a row's answers."""
    found: dict[str, Any] = artifacts.load(path, "claim-row").json("row")
    return found


def measured_at(path: Path) -> str:
    """The commit of a kept row: of its answers, or of a file that `evaluate.write_result` wrote; empty if not told."""
    return str(took(path).get("commit", "")) if path.is_dir() else evaluate.read_result(path).commit


def write(
    judged: Evaluation,
    to: Path,
    asked: Asked,
    claim: str,
    measured: Sequence[tuple[str, Path]],
    *,
    whole: bool,
    **about: Any,
) -> Path:
    """The file of a table, made of rows ``measured``, by name and place; ``about`` are further fields of it.

    ``whole`` is whether all rows are there that the claim's command would measure.
    """
    result = evaluate.write_result(judged, to, asked.command(claim, whole=whole), commit=asked.commit)
    found: dict[str, dict[str, None]] = {}
    for name, path in measured:
        found.setdefault(measured_at(path), {})[name] = None
    about["remarks"] = (*result.remarks, *_commits(found, asked.commit))
    result = result.model_copy(update=about)
    artifacts.write_atomic(to, (result.model_dump_json(indent=1) + "\n").encode())
    return to


def _commits(found: Mapping[str, Iterable[str]], own: str) -> list[str]:
    """Who was measured at which commit, if not all were at the file's own."""
    if set(found) == {own}:
        return []
    return [
        f"Measured at {f'commit {at}' if at else 'a commit that was not recorded'}: "
        f"{'all rows' if len(found) == 1 else '; '.join(names)}."
        for at, names in found.items()
    ]


def seeded(*rows: R) -> tuple[R, ...]:
    """Each row with every seed: no luck of one training decides, on either side of a comparison."""
    return tuple(dataclasses.replace(row, seed=seed) for row in rows for seed in SEEDS)  # type: ignore[type-var]


def key(facts: object) -> str:
    """Twelve digits that stand for all that decides what is kept."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def slug(name: str) -> str:
    """How the command line and files name a row."""
    words = "".join(c if c.isalnum() else "-" for c in name.lower())
    return "-".join(filter(None, words.split("-")))


def told(what: str, started: float) -> None:
    """Tell the terminal what was measured, and in which time."""
    print(f"{what} in {time.monotonic() - started:.0f} s", file=sys.stderr)


def progress(task: str, done: float, total: float | None = None, note: str = "") -> None:
    """Of training, what was validated."""
    if "validation" in note:
        print(f"  {task} {done:.0f}/{total:.0f} {note}", file=sys.stderr)
