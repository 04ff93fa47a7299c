from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from tastemaker.data.split import Split
from tastemaker.evaluate import wording
from tastemaker.evaluate.result import Published, Result
from tastemaker.evaluate.results import result_of
from tastemaker.evaluate.run import evaluate
from tastemaker.evaluate.terminal import ResultTable


@pytest.fixture(scope="module")
def result(split: Split, toy: SimpleNamespace) -> Result:
    systems = [toy.oracle("ours [bold]"), toy.constant("a constant of the longest kind that anyone named"), toy.half()]
    return result_of(evaluate(split, systems, "leave-one-out-20", focus="half"), "steps", commit="c0ffee")


def shown(result: Result, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(ResultTable(result))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120, 250])
def test_no_row_is_left_out_at_any_width(result: Result, width: int) -> None:
    lines = shown(result, width)
    text = "".join("".join(lines).split())
    for row in result.rows:
        assert "".join(row.system.split())[:10] in text
    assert all(len(line) <= width for line in lines)


def test_kinds_are_grouped_and_the_best_row_is_marked(result: Result) -> None:
    lines = [line.strip() for line in shown(result, 250)]
    starts = [
        "Trivial baselines",
        "a constant",
        "Collaborative models",
        "half",
        "With a language model",
        "* ours [bold]",
    ]
    found = [next(i for i, line in enumerate(lines) if line.startswith(start)) for start in starts]
    assert found == sorted(found)


def test_published_figures_are_told_apart_from_measured_ones(result: Result) -> None:
    big = Published(system="Big (7B)", metrics={"hr@1": 0.4526}, source="their README")
    lines = shown(result.model_copy(update={"published": (big,)}), 120)
    at = next(i for i, line in enumerate(lines) if line.startswith("Published, not measured here"))
    assert lines[at + 1].strip() == "Big (7B) hr@1 0.4526 (their README)"
    assert not any("Published" in line for line in shown(result, 120))


def test_intervals_stand_beside_every_metric_where_there_is_room(result: Result) -> None:
    row = next(line for line in shown(result, 250) if "half" in line)
    assert row.count("[") == len(result.columns)
    narrow = next(line for line in shown(result, 110) if " half" in line)
    assert narrow.count("[") == 1
    assert any(line.startswith("no room for") for line in shown(result, 110))


@pytest.mark.parametrize("width", [80, 100, 120, 200, 240])
def test_no_figure_is_cut_however_short_the_names(width: int, split: Split, toy: SimpleNamespace) -> None:
    short = result_of(evaluate(split, [toy.oracle()], "leave-one-out"), "steps", commit="c0ffee")
    lines = shown(short, width)
    assert any(line.rstrip().endswith(" lists  per 1,000") for line in lines)
    row = next(line for line in lines if "oracle" in line)
    assert row.rstrip().endswith(wording.seconds(short.rows[0].seconds_per_1000))
