"""The service under load, for a moment: every goal is measured and none is missed by much."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.load import __main__ as command
from benchmarks.load.clients import Seen
from benchmarks.load.goals import GOALS, SHORT
from tastemaker.evaluate import read_result


@pytest.mark.slow
@pytest.mark.parametrize("goal", [goal.__name__ for goal in GOALS])
def test_each_goal_is_measured(goal: str, tmp_path: Path) -> None:
    result = read_result(command.main(["--only", goal, "--out", str(tmp_path / "load.json")], SHORT))
    for row in result.rows:
        if row.metrics.get("target") == 0:
            assert row.metrics["measured"] == 0, row
        assert row.metrics["measured"] >= 0 or "MB" in row.system, row
    notes = " ".join(row.notes for row in result.rows)
    if goal == "failing":
        assert len(result.rows) == 7
        assert notes.count("ms; 0 of those lists were not there") == 6
    if goal == "stopping":
        assert "10 streams ended with their last event, 0 did not" in notes
    if goal == "leaving":
        assert "answered: True" in notes
    if goal in ("listing", "keeping"):
        assert "0 errors" in notes


def test_what_clients_saw_is_told_by_status() -> None:
    seen = Seen([200, 503, 200, 0], [0.1, 0.001, 0.3, 9.0], [1.0, 2.0, 3.0, 4.0])
    assert seen.of(200) == [0.1, 0.3]
    assert seen.errors(200, 503) == 1
    assert seen.percentiles(503) == {"p50": 1.0, "p95": 1.0, "p99": 1.0}
    assert seen.later(2.5).statuses == [200, 0]
