"""tastemaker doctor: what is installed, what is here already, and what to do about the rest."""

from __future__ import annotations

from typing import Annotated

import typer

from tastemaker.cli._options import Json
from tastemaker.cli._output import show_json, show_line, show_table

EXAMPLE = "tastemaker doctor --network"


def doctor(
    network: Annotated[bool, typer.Option("--network", help="Also try to reach the places data comes from.")] = False,
    as_json: Json = False,
) -> None:
    """Check this machine. Exit code 1 if something must be put right before anything will work."""
    from tastemaker.cli._checks import checks

    found = checks(network=network)
    if as_json:
        show_json([check._asdict() for check in found])
    else:
        show_table(("", "", ""), [(check.name, check.state, check.told) for check in found])
        for check in found:
            if check.advice:
                show_line(f"{check.name}: {check.advice}")
    if any(check.state == "bad" for check in found):
        raise typer.Exit(1)
