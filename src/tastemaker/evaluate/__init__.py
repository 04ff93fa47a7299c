"""Systems judged on the same frozen questions: metrics, intervals, paired tests, result files, pages and reports."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tastemaker.evaluate.evaluation import Evaluation, combine
    from tastemaker.evaluate.metrics import metric
    from tastemaker.evaluate.pages import fill_readme, results_md, write_pages
    from tastemaker.evaluate.protocols import protocol
    from tastemaker.evaluate.report import Curve, Example, Suggestion, render_report
    from tastemaker.evaluate.result import Result, read_result
    from tastemaker.evaluate.results import read_evaluation, result_of, write_result
    from tastemaker.evaluate.run import evaluate
    from tastemaker.evaluate.system import System
    from tastemaker.evaluate.terminal import ResultTable

__all__ = [
    "Curve",
    "Evaluation",
    "Example",
    "Result",
    "ResultTable",
    "Suggestion",
    "System",
    "combine",
    "evaluate",
    "fill_readme",
    "metric",
    "protocol",
    "read_evaluation",
    "read_result",
    "render_report",
    "result_of",
    "results_md",
    "write_pages",
    "write_result",
]

_HOMES = {
    "evaluation": ("Evaluation", "combine"),
    "metrics": ("metric",),
    "pages": ("fill_readme", "results_md", "write_pages"),
    "protocols": ("protocol",),
    "report": ("Curve", "Example", "Suggestion", "render_report"),
    "result": ("Result", "read_result"),
    "results": ("read_evaluation", "result_of", "write_result"),
    "run": ("evaluate",),
    "system": ("System",),
    "terminal": ("ResultTable",),
}


def __getattr__(name: str) -> Any:
    """The public name, imported when it is first used: judging needs no templates, reporting no models."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"tastemaker.evaluate.{module}"), name)
    raise AttributeError(f"tastemaker.evaluate has no {name!r}")


def __dir__() -> list[str]:
    return __all__
