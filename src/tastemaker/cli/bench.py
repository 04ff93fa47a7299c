"""tastemaker bench: how fast the engine is here, against the naive recipes and the machine itself."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from tastemaker.cli._options import Json
from tastemaker.cli._output import show_result
from tastemaker.cli._progress import reporting

EXAMPLE = "tastemaker bench --users 8 --rounds 3 --only choosing --only liking --out runs/bench.json"


def bench(
    users: Annotated[int, typer.Option("--users", min=4, metavar="N", help="Users in each go.")] = 16,
    rounds: Annotated[int, typer.Option("--rounds", min=1, metavar="N", help="Turns of ours and theirs.")] = 5,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="PART", help="This part and no other; repeat it for more.")
    ] = None,
    llm: Annotated[str, typer.Option("--llm", metavar="NAME", help="The language model both sides read with.")] = (
        "smollm2-135m"
    ),
    out: Annotated[Path, typer.Option("--out", metavar="FILE.json", help="Where the figures go.")] = Path(
        "results/bench.json"
    ),
    as_json: Json = False,
) -> None:
    """Measure speed, memory and their growth; some twenty minutes on an idle machine. Wants the source tree.

    What the engine is measured against, plain recipes and other libraries, is not part of the installed package.
    """
    from tastemaker.errors import UsageError

    root = Path(__file__).resolve().parents[3]
    if not (root / "benchmarks" / "speed").is_dir():
        raise UsageError("bench needs benchmarks/ of the source tree; clone it, and install it with `pip install -e .`")
    sys.path.insert(0, str(root))
    speed = import_module("benchmarks.speed.__main__")
    arguments = ["--users", str(users), "--rounds", str(rounds), "--llm", llm, "--out", str(out)]
    with reporting() as progress:
        result = speed.main([*arguments, *(word for part in only or () for word in ("--only", part))], progress)
    show_result(result, as_json=as_json)
