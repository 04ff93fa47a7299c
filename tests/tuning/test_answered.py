"""Questions laid out in windows: each asked once, behind what it may see, whoever else is asked."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.tuning.answered import windows
from tastemaker.types import Item, Query, User


@st.composite
def of_users(draw):
    queries = []
    for user in range(draw(st.integers(1, 3))):
        items = draw(st.lists(st.integers(0, 9), max_size=14))
        likes = draw(st.lists(st.booleans(), min_size=len(items), max_size=len(items)))
        for _ in range(draw(st.integers(1, 5))):
            n = draw(st.integers(0, len(items)))
            asked = tuple(map(Item, draw(st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True))))
            queries.append(Query(tuple(map(Item, items[:n])), asked, User(user), likes=tuple(likes[:n])))
    return queries


def seen(window, event):
    """What an event may see of the window: item and like of what is told, in order."""
    return [(e.item, e.liked) for e in window.events if e.told][: event.sees]


@settings(max_examples=150, deadline=None)
@given(of_users(), st.integers(1, 6))
def test_every_question_is_asked_once_behind_its_own_history(queries, block):
    questions = [(query, item) for query in queries for item in query.candidates]
    found = {}
    for window in windows(queries, block):
        told = [event for event in window.events if event.told]
        assert [event.sees for event in told] == list(range(len(told)))
        for event in window.events:
            if event.question >= 0:
                assert event.question not in found
                found[event.question] = (window, event)
    assert sorted(found) == list(range(len(questions)))
    for number, (query, item) in enumerate(questions):
        window, event = found[number]
        assert (event.item, window.user) == (item, query.user)
        told = list(zip(query.history, query.likes, strict=True))
        start = max(0, (len(told) // block - 1) * block)
        assert seen(window, event) == told[start:]


@settings(max_examples=50, deadline=None)
@given(of_users(), st.integers(1, 6), st.integers(0, 5))
def test_shifted_cuts_still_ask_everything(queries, block, shift):
    n = sum(len(query.candidates) for query in queries)
    asked = [number for window in windows(queries, block, shift=shift % block) for number in window.questions]
    assert sorted(asked) == list(range(n))


def test_a_question_about_what_is_told_next_is_that_event():
    rows = [Query(tuple(map(Item, range(n))), (Item(n),), User(0), likes=(True,) * n) for n in range(4)]
    (window,) = windows(rows, 8)
    assert len(window.events) == 4
    assert [event.told for event in window.events] == [True, True, True, False]
