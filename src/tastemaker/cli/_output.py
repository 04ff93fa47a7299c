"""Results -> stdout, as tables for people or JSON for machines; remarks -> stderr."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker import processes

if TYPE_CHECKING:
    from rich.console import Console

    from tastemaker.evaluate import Result

WIDE = 240
"""Columns of output that does not go to a terminal: nothing there should be cut."""


def say(line: str) -> None:
    """A remark, on stderr; of several processes the main one makes it."""
    if processes.index() == 0:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def show_json(value: Any) -> None:
    """One JSON value, numbers that are none as null."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def show_line(line: str) -> None:
    """One line of the result."""
    sys.stdout.write(line + "\n")


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """A table; numbers stand right, and foreign text is shown as the text it is."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from tastemaker.prompts.clean import clean

    cells = [list(row) for row in rows]
    table = Table(
        box=box.SIMPLE_HEAD if any(columns) else None,
        show_header=any(columns),
        pad_edge=False,
        title=Text(title) if title else None,
        title_justify="left",
    )
    for i, name in enumerate(columns):
        right = bool(cells) and all(isinstance(row[i], int | float) for row in cells)
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(clean(_cell(value))) for value in row))
    _console().print(table)


def show_result(result: Result, *, as_json: bool, report: Path | None = None, out: Path | None = None) -> None:
    """An evaluation; with ``report``, as a page of HTML too."""
    from tastemaker.artifacts import write_atomic
    from tastemaker.evaluate import ResultTable, render_report

    if as_json:
        show_json(result.model_dump(mode="json"))
    else:
        _console().print(ResultTable(result))
    if report is not None:
        write_atomic(report, render_report([result], title=result.name).encode())
    for path in filter(None, (out, report)):
        say(f"wrote {path}")


def size(n_bytes: float) -> str:
    """``1.2 GB``."""
    power = min(3, int(math.log(max(n_bytes, 1), 1000)))
    return f"{n_bytes / 1000**power:,.{0 if power < 2 else 1}f} {('bytes', 'kB', 'MB', 'GB')[power]}"


def _console() -> Console:
    from rich.console import Console

    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE
    return Console(file=sys.stdout, width=wide, highlight=False)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
