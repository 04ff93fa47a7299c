"""Coverage and novelty, worked by hand, and where they are shown."""

from __future__ import annotations

import dataclasses
import io
import json
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from films import N_FILMS, films_split
from rich.console import Console

from tastemaker.data.split import Case, Split
from tastemaker.evaluate import run
from tastemaker.evaluate.breadth import NOBODY, listed, of_lists
from tastemaker.evaluate.evaluation import Evaluation, combine
from tastemaker.evaluate.pages import results_md
from tastemaker.evaluate.protocols import protocol, registry
from tastemaker.evaluate.protocols.base import ListProtocol
from tastemaker.evaluate.report import render_report
from tastemaker.evaluate.results import read_evaluation, result_of, write_result
from tastemaker.evaluate.system import System
from tastemaker.evaluate.terminal import ResultTable
from tastemaker.types import Item, Query, User

BROAD = ("coverage@10", "novelty@10")


def test_a_list_is_the_best_unseen_items_ties_by_number() -> None:
    scores = np.array([[9, 3, 3, 5, 3]], np.float32)
    assert listed(scores, [Query((Item(0),))], 3).tolist() == [[3, 1, 2]]


def test_a_list_holds_nothing_that_must_not_or_cannot_be_there() -> None:
    scores = np.array([[9, 3, -np.inf, 5], [np.nan] * 4, [1, 2, 3, 4]], np.float32)
    queries = [Query((Item(0),)), Query(()), Query((Item(3), Item(2), Item(3)))]
    assert listed(scores, queries, 3).tolist() == [[3, 1, NOBODY], [NOBODY] * 3, [1, 0, NOBODY]]
    assert np.isnan(scores[1]).all(), "scores are left as they are"


def test_coverage_is_what_anybody_is_shown() -> None:
    found = of_lists(np.array([[0, 1], [1, NOBODY]], np.int32), films_split())
    assert found.coverage == 2 / N_FILMS
    assert set(found.as_metrics()) == {"coverage@2", "novelty@2"}


def test_novelty_is_self_information() -> None:
    split = films_split()
    users = len(split.sequences)
    counts = np.bincount(split.train["item"].to_numpy(), minlength=N_FILMS)
    popular, unknown = int(counts.argmax()), int(counts.argmin())
    assert counts[unknown] == 0
    found = of_lists(np.array([[popular]], np.int32), split)
    assert found.novelty == pytest.approx(-np.log2(counts[popular] / users))
    both = of_lists(np.array([[popular, unknown, NOBODY]], np.int32), split)
    assert both.novelty == pytest.approx((found.novelty - np.log2(0.5 / users)) / 2)


def test_no_lists_have_no_novelty() -> None:
    assert of_lists(np.full((2, 3), NOBODY, np.int32), films_split()).as_metrics() == {"coverage@3": 0.0}


def falling(split: Split) -> System:
    """The same order for everybody: item 0 first."""
    scores = -np.arange(split.dataset.n_items, dtype=np.float32)
    return System("falling", "trivial", lambda qs: [scores[list(q.candidates) or slice(None)] for q in qs])


@pytest.mark.parametrize("name", registry.names())
def test_rows_over_the_whole_catalogue_have_both(name: str) -> None:
    rule = protocol(name)
    if not isinstance(rule, ListProtocol):
        return
    split = films_split()
    found = run.evaluate(split, [falling(split)], rule)
    if rule.n is not None:
        assert found.columns == tuple(found.rows[0].metrics) == rule.metrics
        return
    assert found.columns == tuple(found.rows[0].metrics) == (*rule.metrics, *BROAD)
    lists = [[i for i in range(N_FILMS) if i not in case.query.history][:10] for case in split.test]
    by_hand = of_lists(np.array(lists, np.int32), split).as_metrics()
    assert {metric: found.rows[0].metrics[metric] for metric in BROAD} == by_hand
    assert not set(BROAD) & set(found.rows[0].ci95)


def test_a_question_with_several_answers_has_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a batch ends between its answers."""
    split = films_split()
    one, two = (Query((Item(seen),), user=User(user)) for user, seen in enumerate((0, 4)))
    split = dataclasses.replace(split, test=(*(Case(one, Item(i)) for i in range(5, 10)), Case(two, Item(1))))
    monkeypatch.setattr(run, "_BATCH", 2)
    found = run.evaluate(split, [falling(split)], "chatrec").rows[0].metrics
    lists = np.array([range(1, 11), [0, 1, 2, 3, 5, 6, 7, 8, 9, 10]], np.int32)
    assert {metric: found[metric] for metric in BROAD} == of_lists(lists, split).as_metrics()


def test_nothing_is_scored_twice_and_no_scores_are_kept(toy: SimpleNamespace) -> None:
    split = toy.make_split(1000, 60)
    asked: list[Query] = []
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = [0]

    class Scores(np.ndarray):  # type: ignore[type-arg]
        __hash__ = object.__hash__

    def score(queries: Sequence[Query]) -> list[np.ndarray[Any, Any]]:
        asked.extend(queries)
        scores = [np.zeros(60, np.float32).view(Scores) for _ in queries]
        most[0] = max(most[0], len(alive))
        for row in scores:
            alive.add(row)
        return scores

    run.evaluate(split, [System("watched", "llm", score)], "leave-one-out")
    assert len(asked) == 1000
    assert most[0] <= 2 * run._BATCH


def test_seeds_are_averaged_and_told_apart(split: Split, toy: SimpleNamespace) -> None:
    rising = toy.by_item("x", lambda q, i: i, seed=1)
    last = toy.by_item("x", lambda q, i: -i, seed=2)
    (row,) = run.evaluate(split, [rising, last], "leave-one-out").rows
    apart = [run.evaluate(split, [one], "leave-one-out").rows[0].metrics for one in (rising, last)]
    for name in BROAD:
        assert row.by_seed[name] == tuple(one[name] for one in apart)
        assert row.metrics[name] == pytest.approx(np.mean(row.by_seed[name]))


@pytest.fixture
def judged(split: Split, toy: SimpleNamespace) -> Evaluation:
    return run.evaluate(split, [toy.constant(), toy.oracle()], "leave-one-out")


def test_both_stand_in_tables_pages_and_reports(judged: Evaluation, tmp_path: Path) -> None:
    result = write_result(judged, tmp_path / "whole.json", "make whole", commit="c0ffee")
    assert result.metrics[-2:] == BROAD
    out = io.StringIO()
    Console(file=out, width=240, color_system=None).print(ResultTable(result))
    heading = next(line for line in out.getvalue().splitlines() if "coverage@10" in line)
    assert heading.count("[95 %]") == len(result.columns) - 2, "with all the intervals there are"
    told = results_md(tmp_path)
    assert "| mrr@10 | coverage@10 | novelty@10 | lists |" in told
    page = render_report([result])
    for name in BROAD:
        assert f'<th scope="col">{name}</th>' in page
    assert read_evaluation(tmp_path / "whole.json").rows == judged.rows


def test_a_file_from_before_is_read_and_compared(judged: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    write_result(judged, path, "make old", commit="c0ffee")
    raw = json.loads(path.read_text())
    raw["metrics"] = raw["metrics"][:-2]
    for one in raw["runs"]:
        del one["breadth"]
    path.write_text(json.dumps(raw))
    old = read_evaluation(path)
    assert old.columns == judged.protocol.metrics
    new = dataclasses.replace(
        judged,
        runs=tuple(one.model_copy(update={"system": f"new {one.system}"}) for one in judged.runs),
        outcomes=judged.outcomes.with_columns(system="new " + judged.outcomes["system"]),
        focus="new oracle",
    )
    both = result_of(combine([old, new]), "both", commit="c0ffee")
    assert both.columns[-2:] == BROAD
    assert [name in row.metrics for row in both.rows for name in BROAD] == [False, False, True, True] * 2
    out = io.StringIO()
    Console(file=out, width=240, color_system=None).print(ResultTable(both))
    assert "\N{EN DASH}" in next(line for line in out.getvalue().splitlines() if "* oracle" in line)
    assert "coverage@10" in render_report([both])


def test_the_protocol_ranks_the_catalogue() -> None:
    rule = protocol("palr")
    assert (rule.name, rule.n, rule.metrics[:2]) == ("palr", None, ("ndcg@10", "hr@10"))
    assert "whole catalogue" in rule.describe()
