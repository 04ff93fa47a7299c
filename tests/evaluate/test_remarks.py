"""What a split may give away stands under every table of it, once."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from tastemaker.data import describe_split
from tastemaker.data.split import Split
from tastemaker.evaluate.evaluation import combine
from tastemaker.evaluate.pages import results_md
from tastemaker.evaluate.report import render_report
from tastemaker.evaluate.results import read_evaluation, write_result
from tastemaker.evaluate.run import evaluate
from tastemaker.evaluate.terminal import ResultTable

LEAK = "The answers of 12 of 12 test cases are in the train rows of their user."


@pytest.mark.parametrize("name", ["leave-one-out", "leave-one-out-20", "llara", "palr", "chatrec"])
def test_every_ranking_tells_what_its_split_gives_away(name: str, split: Split, toy: SimpleNamespace) -> None:
    remarks = evaluate(split, [toy.oracle()], name).remarks
    assert remarks == describe_split(split).warnings
    assert LEAK in remarks


def test_a_split_that_gives_nothing_away_has_no_remarks(split: Split, toy: SimpleNamespace) -> None:
    users, items = (split.train[name] for name in ("user", "item"))
    clean = dataclasses.replace(split, train=split.train.filter(users + 5 != items), valid=())
    told = evaluate(clean, [toy.oracle()], "leave-one-out").remarks
    assert not any("train rows of their user" in one for one in told)


def test_remarks_stand_in_files_tables_pages_and_reports(split: Split, toy: SimpleNamespace, tmp_path: Path) -> None:
    judged = evaluate(split, [toy.constant(), toy.oracle()], "leave-one-out-20")
    result = write_result(judged, tmp_path / "leaky.json", "make leaky", commit="c0ffee")
    assert result.remarks.count(LEAK) == 1
    out = io.StringIO()
    Console(file=out, width=240, color_system=None).print(ResultTable(result))
    for told in (out.getvalue(), results_md(tmp_path), render_report([result])):
        assert told.count(LEAK) == 1
    assert read_evaluation(tmp_path / "leaky.json").remarks == judged.remarks


def test_results_side_by_side_tell_it_once_even_if_the_first_did_not(split: Split, toy: SimpleNamespace) -> None:
    first, second = (evaluate(split, [one], "leave-one-out") for one in (toy.constant(), toy.oracle()))
    assert combine([first, second]).remarks == first.remarks
    older = dataclasses.replace(first, remarks=("As it was.",))
    assert combine([older, second]).remarks == ("As it was.", *second.remarks)
