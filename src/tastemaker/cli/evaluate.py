"""tastemaker evaluate: judge runs and models on the same frozen questions."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from tastemaker.cli._options import Data, From, Json, Report, Seed, Settings, SplitName, group
from tastemaker.cli._output import show_result
from tastemaker.cli._progress import reporting

EXAMPLE = "tastemaker evaluate runs/llara sasrec --protocol leave-one-out-20 --out results/mine.json -o draws=5"


def evaluate(
    context: typer.Context,
    targets: Annotated[
        list[str], typer.Argument(metavar="DIR|MODEL...", help="Runs, or collaborative models to fit here and now.")
    ],
    protocol: Annotated[
        str, typer.Option("--protocol", metavar="NAME", help="llara, leave-one-out, leave-one-out-20, collm ...")
    ] = "leave-one-out-20",
    data: Data = None,
    from_: From = None,
    split: SplitName = None,
    part: Annotated[str, typer.Option("--part", metavar="PART", help="test, or valid while choosing.")] = "test",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.json", help="Keep the result, and every outcome beside it.")
    ] = None,
    report: Report = None,
    focus: Annotated[
        str | None, typer.Option("--focus", metavar="NAME", help="Whom the paired tests compare with all others.")
    ] = None,
    llm_draws: Annotated[
        int,
        typer.Option(
            "--llm-draws", min=1, metavar="N", help="Candidate lists for rows whose language model reads them."
        ),
    ] = 20,
    baselines: Annotated[bool, typer.Option(help="Judge baselines, and the models under runs, too.")] = True,
    settings: Settings = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """One table of every system, with intervals and paired tests. The data is that of the first run unless given.

    -o KEY=VALUE sets the protocol, -o split.KEY the split, -o data.KEY the reader, -o MODEL.KEY a model that is fitted
    here.
    """
    from tastemaker.cli import _judging
    from tastemaker.cli._runs import any_split_of
    from tastemaker.config import parse_overrides
    from tastemaker.data import PreferenceSplit
    from tastemaker.errors import UsageError
    from tastemaker.evaluate import evaluate as judge
    from tastemaker.evaluate import result_of, write_result
    from tastemaker.evaluate.protocols import PreferenceProtocol
    from tastemaker.evaluate.results import require_free

    if part not in ("test", "valid"):
        raise UsageError(f"--part is test or valid, not {part}")
    if out is not None:
        require_free(out)
    found = [_judging.target(text) for text in targets]
    given = parse_overrides(settings or ())
    of_split, of_reader = group(given, "split"), group(given, "data")
    names = [*_judging.BASELINES, *_judging.RATES, *(one for one in found if isinstance(one, str))]
    of_models = {one: given.pop(one) for one in names if one in given}
    preset = _judging.protocol_of(protocol, given)
    said: dict[str, Any] = {"name": data, "path": None if from_ is None else str(from_), "split": split}
    said |= {"settings": of_split, "options": of_reader}
    wanted = _judging.data_of([one for one in found if isinstance(one, Path)], said, protocol)
    with reporting() as progress:
        made = any_split_of(wanted, progress)
        shared: dict[str, Any] = {"settings": of_models, "seed": seed, "baselines": baselines, "progress": progress}
        if isinstance(made, PreferenceSplit) != isinstance(preset, PreferenceProtocol):
            asks = "liked" if isinstance(made, PreferenceSplit) else "next"
            raise UsageError(f"the data asks what is {asks}, --protocol {protocol} does not; choose another of the two")
        if isinstance(made, PreferenceSplit):
            rows = _judging.judges(found, made, **shared)
        else:
            rows = _judging.systems(found, made, llm_draws=llm_draws, **shared)
        judged = judge(made, rows, preset, part="test" if part == "test" else "valid", focus=focus, progress=progress)
    command = f"tastemaker {shlex.join(context.obj or [])}"
    name = f"{made.dataset.name}-{protocol}" if out is None else out.stem
    result = result_of(judged, name, command) if out is None else write_result(judged, out, command)
    show_result(result, as_json=as_json, report=report, out=out)
