"""Withheld items are answers and nothing else."""

from __future__ import annotations

import pytest
from films import films

from tastemaker.data.splits.unseen_items import withheld
from tastemaker.errors import DataError


def test_withheld_items_are_nowhere_but_in_answers() -> None:
    split = films().split("unseen-items", k_core=0, share=0.4)
    out = set(withheld(split))
    assert split.test
    assert all(case.positive in out for case in split.test)
    assert out.isdisjoint(split.train["item"].to_list())
    for case in (*split.valid, *split.test):
        assert case.query.history
        assert out.isdisjoint(case.query.history)
    assert out.isdisjoint(case.positive for case in split.valid)
    assert split.hash == films().split("unseen-items", k_core=0, share=0.4).hash
    assert split.hash != films().split("unseen-items", k_core=0, share=0.4, seed=1).hash


def test_nobody_to_ask_is_told() -> None:
    with pytest.raises(DataError, match="raise share"):
        films(3).split("unseen-items", k_core=0, share=0.01)
