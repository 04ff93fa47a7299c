from __future__ import annotations

import pytest

from tastemaker.evaluate import wording
from tastemaker.evaluate.result import Pair
from tastemaker.evaluate.significance import Interval


@pytest.mark.parametrize(
    ("metric", "delta", "ends", "p", "told"),
    [
        ("hr@1", 0.09, (0.05, 0.13), 0.0001, "ahead of"),
        ("hr@1", -0.09, (-0.13, -0.05), 0.0001, "behind"),
        ("hr@1", 0.02, (-0.01, 0.05), 0.2, "not distinguishable from"),
        ("hr@1", 0.02, (0.001, 0.05), 0.07, "not distinguishable from"),
        ("mean_rank", -0.5, (-0.8, -0.2), 0.001, "ahead of"),
        ("mean_rank", 0.5, (0.2, 0.8), 0.001, "behind"),
    ],
)
def test_a_verdict_claims_no_more_than_the_test_found(
    metric: str, delta: float, ends: tuple[float, float], p: float, told: str
) -> None:
    pair = Pair(a="ours", b="theirs", metric=metric, delta=delta, ci95=Interval(*ends), p=p / 9, p_holm=p)
    assert wording.verdict(pair).startswith(f"ours is {told} theirs: ")


def test_numbers_are_short_and_never_say_zero_for_a_small_p() -> None:
    assert [wording.number(v) for v in (0.45263, 12.34, 123456.0, None)] == ["0.453", "12.3", "123,456", wording.DASH]
    assert [wording.p_value(p) for p in (0.0002, 0.0456, 1.0)] == ["< 0.001", "0.046", "1.000"]
    assert [wording.seconds(s) for s in (0.0071, 0.54, 3.21, 56.4, 900.0)] == [
        "7.1 ms",
        "540 ms",
        "3.2 s",
        "56 s",
        "15 min",
    ]
    assert wording.signed(-0.0789) == f"{wording.MINUS}0.079"
    assert wording.interval(None) == ""
