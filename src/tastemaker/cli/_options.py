"""The options that several verbs share, written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tastemaker.errors import ConfigError

Data = Annotated[
    str | None, typer.Option("--data", metavar="NAME|PATH", help="A dataset by name, or files; see `data list`.")
]
From = Annotated[
    Path | None, typer.Option("--from", metavar="PATH", help="Where the named dataset's files are, if not fetched.")
]
SplitName = Annotated[
    str | None,
    typer.Option("--split", metavar="NAME", help="leave-one-out, time ...; see `tastemaker config`."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="KEY=VALUE", help="A setting; repeatable. `tastemaker config` lists them."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of everything that is drawn.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Report = Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Also write a page of HTML.")]
Directory = Annotated[Path, typer.Argument(metavar="DIR", help="What `tastemaker train` wrote.")]
Unknown = Annotated[
    str,
    typer.Option("--unknown", metavar="error|skip", help="Fail for an id nobody knows, or leave it out and say so."),
]
Candidates = Annotated[
    Path | None, typer.Option("--candidates", metavar="FILE", help="Only these items: ids, one a line.")
]
WithSeen = Annotated[bool, typer.Option("--with-seen", help="Let items of the history in.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
User = Annotated[list[str] | None, typer.Option("--user", metavar="ID", help="A known user; repeatable.")]
History = Annotated[
    Path | None,
    typer.Option("--history", metavar="FILE", help="Somebody new: item ids, one a line, oldest first; - is stdin."),
]


def group(settings: dict[str, Any], name: str) -> dict[str, Any]:
    """The settings of that group, taken out of the others. Raises `ConfigError` for a value where a group should be."""
    found = settings.pop(name, {})
    if not isinstance(found, dict):
        raise ConfigError(f"-o {name}={found}: name a setting of it, -o {name}.KEY=VALUE, or use --{name}")
    return found
