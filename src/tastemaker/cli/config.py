"""tastemaker config: the settings of anything that has some, with their defaults."""

from __future__ import annotations

from typing import Annotated

import typer

from tastemaker.cli._options import Json, Settings
from tastemaker.cli._output import show_json, show_line

EXAMPLE = "tastemaker config llara -o mode=faithful"


def config(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A method, model, split or protocol.")] = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Print every setting as YAML, with -o laid over the defaults; without NAME, what there is."""
    from tastemaker.cli._named import named, settings_of
    from tastemaker.config import dump_config, parse_overrides

    if name is None:
        if as_json:
            show_json(named())
        else:
            for kind, names in named().items():
                show_line(f"{kind}: {', '.join(names)}")
        return
    found = settings_of(name, parse_overrides(settings or ()))
    if as_json:
        show_json(found.model_dump(mode="json"))
    else:
        show_line(dump_config(found).rstrip())
