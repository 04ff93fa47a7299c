"""Coverage and novelty, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from films import N_FILMS, films_split

from tastemaker.evaluate.breadth import breadth, of_lists
from tastemaker.evaluate.protocols import protocol


def test_one_list_for_all_covers_little_and_many_cover_more() -> None:
    split = films_split()
    same = breadth(split, split.test, lambda qs: [np.arange(N_FILMS)[::-1].astype(np.float32) for _ in qs], k=5)
    noise = np.random.default_rng(0)
    mixed = breadth(split, split.test, lambda qs: [noise.random(N_FILMS).astype(np.float32) for _ in qs], k=5)
    assert same.coverage < mixed.coverage <= 1
    assert set(same.as_metrics()) == {"coverage@5", "novelty@5"}


def test_novelty_is_self_information() -> None:
    split = films_split()
    users = len(split.sequences)
    counts = np.bincount(split.train["item"].to_numpy(), minlength=N_FILMS)
    popular = int(counts.argmax())
    found = of_lists(np.array([[popular]], np.int32), split)
    assert found.novelty == pytest.approx(-np.log2(counts[popular] / users))
    assert found.coverage == 1 / N_FILMS


def test_seen_items_are_no_recommendations() -> None:
    split = films_split()
    case = split.test[0]

    def score(queries):
        row = np.zeros(N_FILMS, np.float32)
        row[list(case.query.history)] = 1
        return [row for _ in queries]

    found = breadth(split, [case], score, k=1)
    unseen = next(i for i in range(N_FILMS) if i not in case.query.history)
    assert found == of_lists(np.array([[unseen]], np.int32), split)


def test_the_protocol_ranks_the_catalogue() -> None:
    rule = protocol("palr")
    assert (rule.name, rule.n, rule.metrics[:2]) == ("palr", None, ("ndcg@10", "hr@10"))
    assert "whole catalogue" in rule.describe()
