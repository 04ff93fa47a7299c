"""Results, training curves and examples -> the report as one string of HTML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tastemaker.errors import DataError, UsageError
from tastemaker.evaluate import wording
from tastemaker.evaluate.report import charts
from tastemaker.evaluate.result import Result


@dataclass(frozen=True)
class Curve:
    """A training log: rows with ``step`` and any of ``stage``, ``loss``, ``lr``, ``valid...``."""

    name: str
    rows: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, path: str | Path, name: str | None = None) -> Curve:
        """The log in a JSONL file; a last line cut short by a kill is left out. Raises `DataError`."""
        path = Path(path)
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"the training log cannot be read ({error})", path) from error
        rows: list[dict[str, Any]] = []
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line) if line.strip() else None
            except ValueError as error:
                if number == len(lines):
                    break
                raise DataError(f"not JSON ({error}); the log is damaged", path, number) from error
            if isinstance(row, dict):
                rows.append(row)
        return cls(name or path.stem, rows)


@dataclass(frozen=True)
class Suggestion:
    """One recommended item as it is shown."""

    title: str
    score: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Example:
    """What a user has seen, what was recommended and why."""

    user: str
    history: Sequence[str]
    """Titles, oldest first; the last twelve are shown."""
    suggestions: Sequence[Suggestion]
    chosen: str | None = None
    """The title the user really chose next, if known; marked where it is among the suggestions."""


_HISTORY = 12


def render_report(
    results: Sequence[Result],
    *,
    curves: Sequence[Curve] = (),
    examples: Sequence[Example] = (),
    title: str = "Evaluation report",
) -> str:
    """A page of HTML with everything inside: tables, drawings, style; no script and nothing to fetch."""
    if not results:
        raise UsageError("no results to report on; evaluate something first")
    page = _environment().get_template("report.html.j2")
    return page.render(
        title=title,
        results=results,
        curves=[(curve.name, charts.panels(curve.rows)) for curve in curves],
        examples=examples,
        shown_history=_HISTORY,
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tastemaker.evaluate.report", "templates"),
        autoescape=True,  # titles, names and reasons are foreign text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "w": wording,
        "kinds_of": lambda result: {row.system: row.kind for row in result.rows},
        "forest": charts.forest,
        "deltas": charts.deltas,
        "slot_charts": charts.slot_charts,
        "reliabilities": charts.reliabilities,
    }
    return environment
