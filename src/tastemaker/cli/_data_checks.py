"""A `Checkup` -> what doctor says of it, in plain lines or as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.cli._output import show_json, show_line

if TYPE_CHECKING:
    from tastemaker.data.checkup import Checkup, Finding

LONGEST = 500
"""Characters of a line, which holds foreign text."""


def show_checkup(found: Checkup, path: str, items: Sequence[Path], given: Sequence[str], *, as_json: bool) -> None:
    """Each finding and what to do about it, and the command that reads a table as it is written."""
    if as_json:
        show_json(found.as_dict())
        return
    from tastemaker.prompts.clean import clean

    bad = sum(finding.state == "bad" for finding in found.findings)
    show_line(f"{clean(found.name)}: {found.interactions:,} interactions, {found.users:,} users, {found.items:,} items")
    show_line(f"wrong: {bad}, odd: {len(found.findings) - bad}")
    for finding in found.findings:
        _show(finding)
    if found.options:
        told = [*given, *(f"{name}={value}" for name, value in found.options.items())]
        show_line(f"as it is written, it is read by: {_command(path, items, told)}")


def _show(finding: Finding) -> None:
    from tastemaker.prompts.clean import clean

    count = "" if finding.count is None else f": {finding.count:,}"
    more = ", ..." if (finding.count or 0) > len(finding.first) else ""
    where = f" ({', '.join(finding.first)}{more})" if finding.first else ""
    show_line(clean(f"{finding.state} {finding.about}: {finding.told}{count}{where}", LONGEST))
    if finding.advice:
        show_line(f"    {clean(finding.advice, LONGEST)}")


def _command(path: str, items: Sequence[Path], settings: Sequence[str]) -> str:
    from tastemaker.data.readers.table import Table

    form = [] if Table.recognises(Path(path)) else ["--format", "table"]
    told = [*settings, *(f"items={file}" for file in items[:1])]
    options = [part for setting in told for part in ("-o", setting)]
    return shlex.join(["tastemaker", "data", "import", path, *form, "--out", "DIR", *options])
