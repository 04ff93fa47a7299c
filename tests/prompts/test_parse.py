"""P5: any completion names one of the candidates shown, or none."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.prompts import clean, parse, parse_substring

INJECTIONS = json.loads(Path(__file__).with_name("injections.json").read_text(encoding="utf-8"))
ATTACKS = [text for group in INJECTIONS.values() for text in group]
EXAMPLES = settings(max_examples=int(os.environ.get("TASTEMAKER_EXAMPLES", "300")), deadline=None)
SHOWN = [
    "Alien",
    "Aliens",
    "Alien\u00b3",
    "Alien: Resurrection",
    "Heat",
    "heat",
    "The Usual Suspects",
    "M*A*S*H",
    "101",
]
foreign = st.sampled_from(ATTACKS + SHOWN) | st.text(st.characters(), max_size=60)


@EXAMPLES
@given(foreign, st.lists(foreign, max_size=6))
def test_parsing_is_total(completion, candidates):
    for rule in (parse, parse_substring):
        parsed = rule(completion, candidates)
        assert (parsed.index is None) == (parsed.how == "none")
        assert parsed.index is None or 0 <= parsed.index < len(candidates)


@EXAMPLES
@given(st.lists(foreign, min_size=1, max_size=8), st.data())
def test_the_shown_title_is_found_unless_it_names_two(candidates, data):
    index = data.draw(st.integers(0, len(candidates) - 1))
    shown = [clean(title) for title in candidates]
    parsed = parse(shown[index] + data.draw(st.sampled_from(["", "\n", "\nmore", "  "])), candidates)
    if shown[index] and shown.count(shown[index]) == 1:
        assert parsed.index == index
        assert parsed.how == "exact"
    else:
        assert parsed.index is None


@pytest.mark.parametrize("index", range(len(SHOWN)))
def test_titles_inside_other_titles_are_told_apart(index):
    assert parse(SHOWN[index], SHOWN).index == index


@pytest.mark.parametrize(
    ("completion", "index", "how"),
    [
        ("\n  Heat  \nand more", 4, "exact"),
        ("HEAT", None, "none"),
        ("the usual suspects.", 6, "normalised"),
        ('"The  Usual-Suspects"', 6, "normalised"),
        ("mash", 7, "normalised"),
        ("alien resurrection", 3, "normalised"),
        ("ALIENS", 1, "normalised"),
        ("I would choose Aliens", None, "none"),
        ("Alien, Aliens", None, "none"),
        ("Usual Suspects", None, "none"),
        ("10", None, "none"),
        ("...", None, "none"),
        ("", None, "none"),
    ],
)
def test_exact_first_then_normalised_and_never_a_guess(completion, index, how):
    assert parse(completion, SHOWN) == type(parse("", []))(index, how)


def test_a_title_shown_twice_names_neither():
    assert parse("Hamlet", ["Hamlet", "Heat", "Hamlet"]).index is None
    assert parse("hamlet", ["Hamlet", "Heat", "Hamlet"]).index is None
    assert parse("Heat", ["Hamlet", "Heat", "Hamlet"]).index == 1


def test_titles_are_compared_as_they_were_shown():
    assert parse("Heat Alien", ["He\u200bat\nAlien"]).how == "exact"
    assert parse("x" * 200, ["x" * 300]).how == "exact"
    assert parse("x" * 201, ["x" * 200]).index is None


def test_empty_titles_are_never_named():
    for rule in (parse, parse_substring):
        assert rule("", ["", " ", "\u200b"]).index is None
        assert rule("", [""]).index is None
    assert parse_substring("Heat", ["", "Heat"]).index == 1
    assert parse("!", ["?"]).index is None


@pytest.mark.parametrize(
    ("completion", "candidates", "index"),
    [
        ("I would choose HEAT.\nOr Alien", ["Alien", "Heat"], 1),
        ("Aliens", ["Alien", "Aliens"], None),
        ("Alien", ["Alien", "Aliens"], 0),
        ("Heat and Alien", ["Alien", "Heat"], None),
        ("\nHeat", ["Heat"], None),
        ("Hea", ["Heat"], None),
        ("Heat", ["Heat", "heat "], None),
    ],
)
def test_the_substring_rule_is_the_one_of_llara(completion, candidates, index):
    parsed = parse_substring(completion, candidates)
    assert parsed.index == index
    assert parsed.how == ("none" if index is None else "substring")
