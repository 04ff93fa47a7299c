"""tastemaker demo: the main job, end to end on real data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tastemaker.cli._options import Data, From, Settings
from tastemaker.cli._progress import reporting

EXAMPLE = "tastemaker demo --out runs/demo"


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where everything goes.")] = Path("runs/demo"),
    data: Data = None,
    from_: From = None,
    method: Annotated[str, typer.Option("--method", metavar="NAME", help="What tunes the language model.")] = "llara",
    llm: Annotated[str, typer.Option("--llm", metavar="NAME|PATH", help="The language model.")] = "smollm2-135m",
    collab: Annotated[
        str, typer.Option("--collab", metavar="MODEL", help="The collaborative model under it.")
    ] = "ensemble",
    users: Annotated[
        int, typer.Option("--users", min=1, metavar="N", help="How many users to show recommendations for.")
    ] = 3,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of everything that is drawn.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew.")] = False,
    settings: Settings = None,
) -> None:
    """Fetch MovieLens-100K and a small language model, tune it, and compare it with baselines on every user.

    Then recommend films to three of them, with reasons, and write a report. The same command again goes on where it
    was stopped. -o sets what `tastemaker train` would take; without it LLaRA is tuned for three epochs, not five, and
    on six layers, not twelve, where the machine multiplies no faster in bf16.
    """
    from tastemaker.cli._configured import configured
    from tastemaker.cli._demo import Demo, hurried

    given = {"train": method, "data": data, "path": from_, "llm": llm, "collab": collab, "seed": seed}
    config = configured(None, given, settings or hurried(method)).resolved()
    with reporting() as progress:
        run = Demo(out, config, progress)
        run.data(overwrite=overwrite)
        run.train()
        run.judge()
        run.recommend(users)
        run.report()
        run.serve()
    run.tell()
