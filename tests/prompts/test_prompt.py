"""Prompts: parts in, parts out; text never becomes structure (P2), history gives way before anything else (P6)."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.errors import PromptError
from tastemaker.prompts import Item, ItemSlot, Prompt, Quoted, UserSlot, fit, joined

INJECTIONS = json.loads(Path(__file__).with_name("injections.json").read_text(encoding="utf-8"))
ATTACKS = [text for group in INJECTIONS.values() for text in group]
EXAMPLES = settings(max_examples=int(os.environ.get("TASTEMAKER_EXAMPLES", "200")), deadline=None)
foreign = st.sampled_from(ATTACKS) | st.text(st.characters(), max_size=40)
part = st.one_of(
    st.text(max_size=8),
    st.builds(Item, st.integers(0, 9), foreign),
    st.builds(Quoted, foreign),
    st.builds(ItemSlot, st.integers(0, 9)),
    st.builds(UserSlot, st.integers(0, 9)),
)
prompt = st.builds(lambda parts: Prompt.of(*parts), st.lists(part, max_size=6))


def shape(of):
    """Everything about a prompt but the wording of its foreign text."""
    return [p if isinstance(p, str | ItemSlot | UserSlot) else (type(p), getattr(p, "item", None)) for p in of.parts]


def question(titles, query):
    """A hybrid prompt such as a method writes it."""
    shown = [Prompt.of(Item(i, title), " ", ItemSlot(i)) for i, title in enumerate(titles)]
    history, candidates = joined(shown[:3], ", "), joined(shown[3:], "\n")
    return Prompt.of(
        "User ", UserSlot(7), " saw ", history, " and asks ", Quoted(query), ". From\n", candidates, "\nAnswer:"
    )


PLAIN = question(["Heat"] * 6, "anything")


@EXAMPLES
@given(st.lists(foreign, min_size=6, max_size=6), foreign)
def test_foreign_text_never_becomes_structure(titles, query):
    attacked = question(titles, query)
    assert shape(attacked) == shape(PLAIN)
    assert attacked.slots == PLAIN.slots
    assert shape(attacked.without_slots()) == shape(PLAIN.without_slots())
    assert attacked.text(slots="drop").count("\n") == PLAIN.text(slots="drop").count("\n")


@pytest.mark.parametrize("group", INJECTIONS)
def test_no_injection_adds_a_slot_a_part_or_a_line(group):
    for attack in INJECTIONS[group]:
        attacked = question([attack] * 6, attack)
        assert shape(attacked) == shape(PLAIN)
        assert len(attacked.text(slots="drop").splitlines()) == len(PLAIN.text(slots="drop").splitlines())


def test_foreign_text_is_clean_from_the_moment_it_is_a_part():
    assert Item(3, "He\u200bat\n").text == "Heat"
    assert Quoted("x" * 300).text == "x" * 200
    assert len(Quoted("x" * 3000, limit=2000).text) == 2000


def test_our_own_wording_is_left_alone():
    assert Prompt.of("a\n\n  b\t").text() == "a\n\n  b\t"


def test_of_takes_in_other_prompts_and_plus_joins():
    inner = Prompt.of("b", ItemSlot(1))
    assert Prompt.of("a", inner, "c") == Prompt(("a", "b", ItemSlot(1), "c"))
    assert Prompt.of("a") + inner + "c" == Prompt.of("a", inner, "c")
    assert Prompt.of() + inner == inner


@pytest.mark.parametrize("wrong", [3, None, ["a"], b"a"])
def test_what_is_not_a_part_is_refused(wrong):
    with pytest.raises(PromptError, match=r"part 1 .*Item or Quoted"):
        Prompt.of("a", wrong)


def test_joined_puts_separators_only_between():
    assert joined([], ", ").parts == ()
    assert joined(["a"], ", ").parts == ("a",)
    assert joined(["a", Prompt.of("b", ItemSlot(1)), "c"], ", ").parts == ("a", ", ", "b", ItemSlot(1), ", ", "c")


@EXAMPLES
@given(prompt)
def test_slots_and_the_rest_add_up(one):
    rest = one.without_slots()
    assert rest.slots == ()
    assert len(rest.parts) + len(one.slots) == len(one.parts)
    assert rest.text() == one.text(slots="drop")


@EXAMPLES
@given(prompt, prompt)
def test_adding_prompts_adds_texts_and_slots(one, other):
    both = one + other
    assert both.slots == one.slots + other.slots
    assert both.text(slots="drop") == one.text(slots="drop") + other.text(slots="drop")


def test_slots_cannot_be_written_as_text():
    with pytest.raises(PromptError, match="2 slots"):
        Prompt.of("a", ItemSlot(1), UserSlot(2)).text()
    assert Prompt.of("a", ItemSlot(1), "b").text(slots="drop") == "ab"


def tokens(of):
    return len(of.text(slots="drop").split()) + len(of.slots)


@EXAMPLES
@given(
    prompt,
    st.lists(st.lists(part, max_size=3), max_size=12),
    prompt,
    st.integers(0, 60),
    st.sampled_from(["", " and "]),
)
def test_fit_keeps_the_budget_and_cuts_the_oldest_history_only(head, history, tail, budget, separator):
    def whole(n):
        return head + joined([Prompt.of(*group) for group in history[n:]], separator) + tail

    try:
        fitted = fit(head, history, tail, measure=tokens, budget=budget, separator=separator)
    except PromptError:
        assert tokens(whole(len(history))) > budget
        return
    assert tokens(fitted) <= budget
    assert fitted.parts[: len(head.parts)] == head.parts
    assert fitted.parts[len(fitted.parts) - len(tail.parts) :] == tail.parts
    assert fitted == next(whole(n) for n in range(len(history) + 1) if tokens(whole(n)) <= budget)


def test_fit_cuts_whole_groups_oldest_first():
    history = [[Item(i, f"film{i}"), " ", ItemSlot(i)] for i in range(5)]
    head, tail = Prompt.of("Seen: "), Prompt.of(". Next: ", Item(9, "Heat"))
    fitted = fit(head, history, tail, measure=tokens, budget=9, separator=", ")
    assert fitted.text(slots="drop") == "Seen: film3 , film4 . Next: Heat"
    assert fitted.slots == (ItemSlot(3), ItemSlot(4))
    assert fit(head, history, tail, measure=tokens, budget=100).slots == tuple(ItemSlot(i) for i in range(5))


def test_fit_measures_little():
    asked = []
    history = [["word "] for _ in range(1000)]
    fit(Prompt.of(), history, Prompt.of(), measure=lambda p: asked.append(p) or tokens(p), budget=10)
    assert len(asked) <= 12


def test_fit_refuses_when_even_no_history_is_too_much():
    with pytest.raises(PromptError, match="still takes 3 of 2"):
        fit(Prompt.of("one two "), [["three"]], Prompt.of("four"), measure=tokens, budget=2)
    with pytest.raises(PromptError, match="fewer candidates"):
        fit(Prompt.of("one two"), [], Prompt.of(), measure=tokens, budget=1)
