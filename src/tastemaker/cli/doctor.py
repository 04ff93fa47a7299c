"""tastemaker doctor: what is installed and here already, or what is wrong with your data, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tastemaker.cli._options import Json, Settings
from tastemaker.cli._output import show_json, show_line, show_table

EXAMPLE = "tastemaker doctor --data ratings.csv --items films.csv"


def doctor(
    network: Annotated[bool, typer.Option("--network", help="Also try to reach the places data comes from.")] = False,
    data: Annotated[
        str | None, typer.Option("--data", metavar="NAME|PATH", help="Look through this data instead of this machine.")
    ] = None,
    items: Annotated[
        list[Path] | None, typer.Option("--items", metavar="FILE", help="A table of the items; repeatable.")
    ] = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Check this machine, or with --data your own files. Exit code 1 if something must be put right first.

    -o says how a table is to be read, as with `tastemaker data import`.
    """
    from tastemaker.errors import UsageError

    if data is None and (items or settings):
        raise UsageError("--items and -o are about data; say which with --data")
    healthy = _machine(network, as_json) if data is None else _data(data, items or [], settings or [], as_json)
    if not healthy:
        raise typer.Exit(1)


def _machine(network: bool, as_json: bool) -> bool:
    from tastemaker.cli._checks import checks

    found = checks(network=network)
    if as_json:
        show_json([check._asdict() for check in found])
    else:
        show_table(("", "", ""), [(check.name, check.state, check.told) for check in found])
        for check in found:
            if check.advice:
                show_line(f"{check.name}: {check.advice}")
    return all(check.state != "bad" for check in found)


def _data(data: str, items: list[Path], settings: list[str], as_json: bool) -> bool:
    from tastemaker.cli._data_checks import show_checkup
    from tastemaker.cli._progress import reporting
    from tastemaker.config import parse_overrides
    from tastemaker.data.checkup import checkup

    with reporting() as progress:
        found = checkup(data, items, progress, **parse_overrides(settings))
    show_checkup(found, data, items, settings, as_json=as_json)
    return found.good
