"""The texts of the benchmarks: distinct titles, the right answer among them, and parts that make up the whole."""

from __future__ import annotations

import pytest
from films import films_split

from benchmarks import prompts
from tastemaker.errors import UsageError


def test_made_up_titles_are_all_different_and_always_the_same() -> None:
    shelf = prompts.made_up(n_titles=300, n_users=5)
    assert len(set(shelf.titles)) == 300
    assert shelf == prompts.made_up(n_titles=300, n_users=5)
    assert shelf != prompts.made_up(n_titles=300, n_users=5, seed=1)


def test_a_split_lends_its_titles_and_test_users() -> None:
    shelf = prompts.of_split(split := films_split())
    assert shelf.titles[:2] == ("Film 0", "Film 1")
    assert [chosen[-1] for chosen in shelf.histories] == [case.positive for case in split.test]


@pytest.mark.parametrize(("history", "candidates"), [(3, 5), (10, 20), (50, 100)])
def test_the_last_title_is_asked_for_among_others(history: int, candidates: int) -> None:
    shelf = prompts.made_up()
    for one, chosen in zip(
        prompts.choices(shelf, 8, history=history, candidates=candidates), shelf.histories, strict=False
    ):
        titles = [shelf.titles[item] for item in chosen]
        assert one.history == tuple(titles[-history - 1 : -1])
        assert one.titles[one.answer] == titles[-1]
        assert len(set(one.titles)) == candidates
        assert set(one.titles) & set(titles) == {titles[-1]}
        assert one.example == (one.prompt, f" {titles[-1]}\n")
        assert all(title in one.prompt for title in (*one.history, *one.titles))


@pytest.mark.parametrize("targets", [1, 20, 50])
def test_half_of_the_targets_are_what_came_later(targets: int) -> None:
    shelf = prompts.made_up()
    for one, chosen in zip(prompts.likings(shelf, 8, targets=targets), shelf.histories, strict=False):
        later = {shelf.titles[item] for item in chosen[len(chosen) - targets // 2 :]}
        assert len(set(one.targets)) == targets
        assert {title for title, liked in zip(one.targets, one.liked, strict=True) if liked} == later
        assert not set(one.targets) & set(one.history)
        assert one.prompts == tuple(one.shared + clause for clause in one.clauses)
        assert [answer for _, answer in one.examples] == [" Yes" if liked else " No" for liked in one.liked]


def test_too_few_users_are_told() -> None:
    with pytest.raises(UsageError, match="0 users have 81 titles, 4 are wanted"):
        prompts.choices(prompts.made_up(n_users=4, length=80), 4, history=80)
