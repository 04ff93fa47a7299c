"""Bound lists: whatever items are called and whatever the model answers, all of each list can be recommended."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker import Recommender
from tastemaker.llm.fake import LIARS, FakeLM
from tastemaker.methods._palr_prompts import names_of
from tastemaker.methods.palr import PALR
from tastemaker.prompts.prompt import Item as Shown
from tastemaker.prompts.prompt import Prompt
from tastemaker.testing.methods import N_ITEMS, chains, under
from tastemaker.testing.tiny_llm import FAMILIES, tiny_lm
from tastemaker.types import Item

DATA = chains().dataset
MODELS = [*FAMILIES, "fake", *LIARS]
PIECES = (
    "Heat",
    "Heat 2",
    "Heat 2 ",
    "heat",
    "#0",
    "#0 Heat",
    "a",
    "\u2163",
    "IV",
    "\ufb01",
    "fi",
    "e\u0301",
    "é",
    "\n",
)
"""Titles that start one another, or are the same to a reader or to a tokenizer."""
TITLES = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=4).map("".join)
CATALOGUES = st.lists(TITLES, min_size=N_ITEMS, max_size=N_ITEMS)


@cache
def model(name):
    if name in FAMILIES:
        return tiny_lm(name)
    return FakeLM() if name == "fake" else FakeLM(mode=name, ignore_choices=True)


@settings(max_examples=20, deadline=None)
@given(titles=CATALOGUES, name=st.sampled_from(MODELS), n=st.integers(1, 12), length=st.integers(1, 6))
def test_every_list_is_in_the_catalogue_unseen_unique_and_full(titles, name, n, length):
    data = replace(DATA, items=DATA.items.with_columns(title=pl.Series(titles)))
    split = replace(chains(), dataset=data)
    method = PALR(model(name), under(), decode="trie", max_steps=0, window=8, list_length=length).tune(split)
    recommender = Recommender(under(), method, split, n_candidates=9)
    ids = data.items["item_id"]
    for user in ("u0", "u3"):
        seen = {ids[i] for i in data.history(int(user[1:])).tolist()}
        found = recommender.recommend(users=[user], n=n)["item_id"].to_list()
        assert len(found) == len(set(found)) == min(n, N_ITEMS - len(seen))
        assert set(found) <= set(ids) - seen
    assert recommender.repairs == 0
    assert not recommender.degraded


@settings(max_examples=40, deadline=None)
@given(titles=st.lists(TITLES, min_size=1, max_size=8), family=st.sampled_from(FAMILIES), n=st.integers(1, 10))
def test_a_model_in_this_process_fills_its_list_by_itself(titles, family, n):
    items = pl.DataFrame({"item_id": [f"i{i}" for i in range(len(titles))], "title": titles})
    names = names_of(DATA.of_items(items), limit=80)
    choices = [Prompt.of(Shown(Item(i), name)) for i, name in enumerate(names)]
    (found,) = model(family).generate_lists([Prompt.of("Answer:\n")], [choices], n=n)
    assert len(found) == len(set(found)) == min(n, len(titles))


@pytest.mark.parametrize("limit", [8, 200])
@settings(max_examples=150)
@given(
    pairs=st.lists(st.tuples(st.sampled_from(["a", "b", "\u200b", "u" * 250]), TITLES), min_size=1, max_size=8),
    ids=st.booleans(),
)
def test_names_are_unique_and_never_blank_and_come_whole_into_a_prompt(limit, pairs, ids):
    items = pl.DataFrame(
        {"item_id": [i + "\u200b" * n for n, (i, _) in enumerate(pairs)], "title": [t for _, t in pairs]}
    )
    names = names_of(DATA.of_items(items), limit=limit, ids=ids)
    assert len(set(names)) == len(names)
    assert all(name and Shown(Item(0), name).text == name for name in names)


def test_a_numbered_name_is_nobodys_title():
    items = pl.DataFrame({"item_id": ["a", "a\u200b", "x", "y"], "title": ["", "", "#0 a", "a #0"]})
    assert len(set(names_of(DATA.of_items(items), limit=80))) == 4
