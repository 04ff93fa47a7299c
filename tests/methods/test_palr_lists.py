"""Candidates in prompts: whatever a model answers, every candidate has a score, and what was named is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker import Recommender
from tastemaker.errors import ConfigError
from tastemaker.llm.fake import LIARS, FakeLM
from tastemaker.methods._palr_lists import matched
from tastemaker.methods._palr_prompts import Wording, names_of
from tastemaker.methods.palr import PALR, Rates
from tastemaker.prompts.prompt import Item as Shown
from tastemaker.prompts.prompt import Prompt
from tastemaker.testing.methods import N_ITEMS, ODD, asked, chains, under
from tastemaker.testing.tiny_llm import FAMILIES, tiny_lm
from tastemaker.types import Item

DATA = chains().dataset
NAMES = names_of(DATA, limit=80)
PLAIN = {"window": 8, "list_length": 3, "history": 5, "max_steps": 0}


def fake(lm, **settings):
    return PALR(lm, under(), **{**PLAIN, **settings}).tune(chains())


def words(prompt):
    return len(prompt.text().split())


def test_names_are_unique_and_never_blank():
    assert len(set(NAMES)) == len(NAMES)
    assert all(name.strip() for name in NAMES)
    heats = [NAMES[i] for i in ODD if "Heat" in NAMES[i]]
    assert heats == [f"i{ODD[2]} (Heat)", f"i{ODD[3]} (Heat)"]
    assert NAMES[ODD[0]] == f"i{ODD[0]}"
    assert names_of(DATA, limit=8, ids=True)[0] == "i0 (Crime Fi)"


def test_old_history_goes_first_and_the_rest_stays():
    wording = Wording(NAMES, "movie", words, 50)
    prompt = wording.ask(range(9), (20, 21), 2, profile=("Crime", "the 1990s")).text()
    assert prompt.startswith("Recommend 2 other movies based on user's watching history from the candidate list.\n")
    assert '"Crime Film 9"' in prompt
    assert '"Crime Film 1"' not in prompt
    assert 'The user prefers Crime, the 1990s.\nThe candidates are "Drama Film 3", "Drama Film 4".\nAnswer:\n' in prompt
    short = Wording(NAMES, "movie", words, 24).ask((0, 1), (), 2).text()
    assert short.endswith('"Crime Film 2".\nAnswer:\n')


@pytest.mark.parametrize(
    ("decode", "liar"),
    [("score", "junk"), ("letters", "junk"), *(("trie", liar) for liar in LIARS), *(("free", liar) for liar in LIARS)],
)
def test_lists_hold_whatever_a_liar_answers(decode, liar):
    """P1: in the catalogue, unseen, unique, full length."""
    method = fake(FakeLM(mode=liar, ignore_choices=True), decode=decode)
    recommender = Recommender(under(), method, chains(), n_candidates=12)
    frame = recommender.recommend(users=["u0", "u3"], n=10)
    for user, rows in frame.group_by("user_id"):
        seen = {DATA.items["item_id"][i] for i in DATA.history(int(user[0][1:])).tolist()}
        ids = rows["item_id"].to_list()
        assert len(set(ids)) == 10
        assert seen.isdisjoint(ids)
        assert set(ids) <= set(DATA.items["item_id"])
    assert recommender.repairs == 0
    assert not recommender.degraded


def last_two(prompt):
    """The last two candidates shown, in turn."""
    shown = [part.text for part in prompt.parts if isinstance(part, Shown)]
    return f"1. {shown[-1]}\n2) {shown[-2].upper()}\n- {shown[-1]}\nNobody Made This\n"


def test_written_lists_are_matched_and_the_rest_filled_in():
    method = fake(FakeLM(lambda prompt: last_two(prompt)), decode="free")
    query = asked(chains(), n=1)[0]
    (scores,) = method.score([query])
    order = np.argsort(-scores)
    assert order[:2].tolist() == [5, 4]
    retrieved = under().score_candidates([query])[0][:4]
    assert order[2:].tolist() == np.argsort(-retrieved, kind="stable").tolist()
    assert method.rates == Rates(lists=1, wanted=3, matched=2, duplicate=1, out_of_list=1)
    assert method.rates.backfilled == 1
    assert method.rates.as_dict() == {"match": 2 / 3, "backfill": 1 / 3, "duplicate": 1 / 4, "out_of_list": 1 / 4}


@settings(max_examples=150)
@given(text=st.text(max_size=300) | st.sampled_from(NAMES).map(lambda name: f'"{name}", "{name}"\n3. {name}'))
def test_matching_is_total(text):
    shown = [Item(i) for i in range(30, N_ITEMS)]
    found, rates = matched(text, shown, NAMES, 10)
    assert len(found) == len(set(found)) == rates.matched <= rates.wanted == 10
    assert all(0 <= place < len(shown) for place in found)


def test_letters_follow_the_candidate_and_not_its_place():
    favourite = NAMES[20]

    def likes(prompt, label):
        text = prompt.text()
        return -1.0 if f'({label.text()}) "{favourite}"' in text else -9.0

    for permutations in (1, 3):
        method = fake(FakeLM(scores=likes), decode="letters", permutations=permutations)
        query = asked(chains(), n=1)[0]
        for place in (0, 3, 5):
            candidates = [Item(i) for i in (1, 2, 3, 4, 5)]
            candidates.insert(place, Item(20))
            scores = method.score([type(query)(query.history, tuple(candidates))])[0]
            assert scores.argmax() == place
            assert scores.max() == pytest.approx(-1)


def test_long_lists_are_read_in_windows_and_the_best_comes_up():
    favourite = NAMES[20]
    seen = []

    def likes(prompt, answer):
        seen.append(prompt.text().count('"') // 2)
        return -1.0 if answer.text().strip() == favourite else -9.0

    method = fake(FakeLM(scores=likes), decode="score")
    query = asked(chains(), n=1)[0]
    candidates = tuple(Item(i) for i in [*range(20), *range(21, 36), 20])
    (scores,) = method.score([type(query)(query.history, candidates)])
    assert scores.argmax() == len(candidates) - 1
    assert len(set(scores.tolist())) == len(candidates)
    assert max(seen) <= 8 + 5  # a window and the history


@pytest.mark.parametrize("family", FAMILIES)
def test_bound_lists_in_one_pass_are_those_written_title_by_title(family):
    lm = tiny_lm(family)
    prompts = [Prompt.of(f"Recommend {n} films: ") + Prompt.of("Answer:\n") for n in ("some", "three more")]
    choices = [[Prompt.of(Shown(Item(i), name)) for i, name in enumerate(NAMES[30:40])], []]
    together = lm.generate_lists(prompts, choices, n=4)
    single = super(type(lm), lm).generate_lists(prompts[:1], choices[:1], n=4)
    # A vocabulary without line breaks has nothing to write between titles but its end of text.
    assert together == [single[0], []] or (family == "unigram" and together[0][:1] == single[0][:1])
    assert len(set(together[0])) == 4
    assert len(lm.generate_lists(prompts[:1], choices[:1], n=99)[0]) == 10


def test_too_narrow_a_context_is_told_and_a_narrow_one_is_enough():
    method = fake(FakeLM(), decode="score", prompt_tokens=150)
    query = asked(chains(), n=1, candidates=30)[0]
    assert np.isfinite(method.score([query])[0]).all()
    assert max(words(prompt) for prompt in method.lm.prompts) <= 100


def narrow(context):
    """A language model that has room for so many positions."""
    lm = tiny_lm()
    lm.config.max_position_embeddings = context
    return lm


def test_what_never_fits_is_told_before_anything_is_asked():
    with pytest.raises(ConfigError, match=r"two titles and a profile.*title_limit.*prompt_tokens \(it is 64\)") as told:
        PALR(tiny_lm(), under(), decode="trie", max_steps=0, prompt_tokens=64).tune(chains())
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("decode", ["score", "letters", "trie", "free"])
def test_a_narrow_context_has_room_for_the_answer_in_training_and_after(decode):
    """Free lists may take more than titles do, and training names ten titles whatever is asked for later."""
    settings_ = {"decode": decode, "max_steps": 0, "list_length": 2, "title_limit": 8, "profile": "none"}
    method = PALR(narrow(300), under(), **settings_).tune(chains())
    wording, lm = method.reading.wording, method.llm
    longest = sorted(range(N_ITEMS), key=lambda item: lm.length(wording.answer([item])))[-10:]
    assert wording.budget + len(lm.encode(wording.answer(longest), start=False)) <= 300
    (query,) = asked(chains(), n=1, candidates=30)
    assert np.isfinite(method.score([replace(query, history=query.history * 9)])[0]).all()


def test_places_have_no_minus_zero():
    for candidates in (6, 20):
        (query,) = asked(chains(), n=1, candidates=candidates)
        (scores,) = fake(FakeLM(mode="empty"), decode="free").score([query])
        assert not np.signbit(scores[scores == 0]).any()
