"""tastemaker compare: put kept results into one table, with paired tests."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tastemaker.cli._options import Json, Report
from tastemaker.cli._output import show_result

EXAMPLE = "tastemaker compare results/llara.json results/mine.json --focus llara --report compared.html"


def compare(
    context: typer.Context,
    results: Annotated[
        list[Path], typer.Argument(metavar="FILE.json|DIR...", help="What `evaluate --out` wrote, or folders of it.")
    ],
    focus: Annotated[
        str | None, typer.Option("--focus", metavar="NAME", help="Whom the paired tests compare with all others.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.json", help="Keep the whole as a result.")] = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Put results on the same questions side by side; those on other questions are refused.

    A system that is in several of them is taken from the first.
    """
    from tastemaker.errors import DataError
    from tastemaker.evaluate import combine, read_evaluation, result_of, write_result
    from tastemaker.evaluate.results import require_free

    if out is not None:
        require_free(out)
    files = [file for path in results for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    files = [file for file in files if file in results or file.with_suffix(".parquet").is_file()]
    if not files:
        raise DataError("holds no results that `tastemaker evaluate --out` wrote", results[0])
    together = combine([read_evaluation(file) for file in files], focus)
    command = f"tastemaker {shlex.join(context.obj or [])}"
    name = " and ".join(file.stem for file in files) if out is None else out.stem
    result = result_of(together, name, command) if out is None else write_result(together, out, command)
    show_result(result, as_json=as_json, report=report, out=out)
