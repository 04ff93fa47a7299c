"""tastemaker train: tune a method or fit a collaborative model, and save what recommends."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tastemaker.cli._options import Data, From, Json, Settings, SplitName
from tastemaker.cli._output import say, show_json, show_line
from tastemaker.cli._progress import reporting

EXAMPLE = "tastemaker train llara --data ml-100k --collab sasrec --out runs/llara -o collab.epochs=10 -o split.k_core=5"


def train(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The run's directory.")],
    name: Annotated[
        str | None, typer.Argument(metavar="METHOD|MODEL", help="llara ..., or a collaborative model: sasrec ...")
    ] = None,
    data: Data = None,
    from_: From = None,
    split: SplitName = None,
    llm: Annotated[
        str | None, typer.Option("--llm", metavar="NAME|PATH", help="A method's language model. [smollm2-135m]")
    ] = None,
    collab: Annotated[
        str | None,
        typer.Option(
            "--collab",
            metavar="MODEL",
            help="The model under a method. [ensemble; of collm: sasrec, of binllm: hashed-mf]",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="The config.yaml of a run, to repeat or vary.")
    ] = None,
    settings: Settings = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, metavar="N", help="Of everything that is drawn. [0]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew over another run in DIR.")] = False,
    as_json: Json = False,
) -> None:
    """Train on the data and write a run: its resolved config.yaml, log.jsonl and, in model/, what recommends.

    The same command again goes on where a run was stopped, and does nothing once it is finished. -o KEY=VALUE sets
    what is trained; -o collab.KEY, -o split.KEY and -o data.KEY set the collaborative model, the split, the reader.
    Methods can be tuned by several processes: torchrun --nproc-per-node 2 -m tastemaker train ...
    """
    from tastemaker import processes
    from tastemaker.cli._configured import configured
    from tastemaker.cli._runs import MODEL, any_split_of, judge, open_run, split_of
    from tastemaker.cli._training import train_judge, train_run
    from tastemaker.data import PreferenceSplit
    from tastemaker.data.describe import warnings_of
    from tastemaker.data.preference import require_both
    from tastemaker.errors import UsageError

    given = {"train": name, "data": data, "path": from_, "split": split, "llm": llm, "collab": collab, "seed": seed}
    wanted = configured(config, given, settings or ()).resolved()
    if processes.count() > 1 and wanted.llm is None:
        raise UsageError(f"{wanted.train} is fitted by one process; run the command without a launcher")
    with reporting() as progress:
        made = any_split_of(wanted.data, progress) if judge(wanted.train) else split_of(wanted.data, progress)
        if judge(wanted.train) and not isinstance(made, PreferenceSplit):
            raise UsageError(
                f"{wanted.train} learns what is liked; {made.name} asks what comes next: --split time, or, of parts of "
                "your own, -o data.min_rating=4"
            )
        if isinstance(made, PreferenceSplit):
            require_both(made)  # before anything is written
        wanted = wanted.with_hash(made)
        finished = processes.by_main(lambda: open_run(out, wanted, overwrite=overwrite))
        for warning in () if finished else warnings_of(made):
            say(f"warning: {warning}")
        if not finished and isinstance(made, PreferenceSplit):
            train_judge(wanted, made, out, progress)
        elif not finished and not isinstance(made, PreferenceSplit):
            train_run(wanted, made, out, progress)
    if processes.index():
        return  # the main process speaks for all
    say(f"{out}: {'was trained already; nothing to do' if finished else 'trained'}")
    if as_json:
        show_json({"path": str(out), "model": str(out / MODEL), "finished_before": finished, **wanted.model_dump()})
    else:
        show_line(str(out / MODEL))
