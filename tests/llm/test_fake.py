"""The scripted language model keeps the contract when honest, and lies as told."""

import unicodedata

import numpy as np
import pytest

from tastemaker.errors import ConfigError, LanguageModelError, UnknownNameError
from tastemaker.llm.fake import LIARS, FakeLM
from tastemaker.prompts import Item, ItemSlot, Prompt, Quoted, parse
from tastemaker.testing.llm import LanguageModelContract, answers, question

SHOWN = ("Ran", "Heat", "Alien")
PROMPT = question(*SHOWN)


class TestFakeLM(LanguageModelContract):
    @pytest.fixture
    def model(self):
        return FakeLM()


def test_scores_are_the_same_on_every_machine():
    (scores,) = FakeLM().score([Prompt.of("Seen: ", Item(3, "Heat"))], [answers("Alien", "Jaws")])
    assert scores == pytest.approx([-1.116528, -0.387320], abs=1e-5)


def test_scores_can_be_supplied():
    model = FakeLM(scores=lambda prompt, continuation: -len(continuation.text()))
    assert model.score([PROMPT], [answers("Heat", "Alien")])[0].tolist() == [-4, -5]
    assert model.generate([PROMPT], choices=[answers("Alien", "Heat")]) == ["Heat"]
    assert np.isnan(FakeLM(scores=lambda *_: float("nan")).score([PROMPT], [answers("Heat")])[0]).all()


def test_a_queue_of_replies_is_read_in_order_and_runs_out_plainly():
    model = FakeLM(["one", "two\nmore", "three"])
    assert model.generate([PROMPT, PROMPT]) == ["one", "two"]
    assert model.generate([PROMPT]) == ["three"]
    with pytest.raises(LanguageModelError, match="used up: prompt 4"):
        model.generate([PROMPT])


def test_a_function_sees_the_prompt():
    assert FakeLM(lambda prompt: prompt.parts[0]).generate([PROMPT, Prompt.of("x")]) == ["Seen: ", "x"]


def test_replies_are_cut_at_stop_and_length():
    model = FakeLM(lambda prompt: "a b c d")
    assert model.generate([PROMPT], max_new_tokens=2) == ["a b"]
    assert model.generate([PROMPT], stop="c") == ["a b "]


def test_without_a_script_the_title_shown_last_is_the_answer():
    assert FakeLM().generate([PROMPT, Prompt.of("no titles")]) == ["Alien", "Nothing"]


def test_a_scripted_reply_must_be_among_the_choices():
    assert FakeLM(["Heat"]).generate([PROMPT], choices=[answers("Alien", "Heat")]) == ["Heat"]
    with pytest.raises(LanguageModelError, match="none of the 1 choices"):
        FakeLM(["Jaws"]).generate([PROMPT], choices=[answers("Heat")])


def test_prompts_are_recorded_as_asked():
    model = FakeLM(lambda prompt: "x")
    model.score([PROMPT], [answers("Heat")])
    model.generate([Prompt.of(Quoted("hello")), PROMPT])
    assert model.prompts == [PROMPT, Prompt.of(Quoted("hello")), PROMPT]


def test_slots_are_refused_wherever_they_stand_unless_ignored():
    hybrid = Prompt.of("Heat ", ItemSlot(1))
    for call in (
        lambda model: model.score([hybrid], [answers("Heat")]),
        lambda model: model.score([PROMPT], [[hybrid]]),
        lambda model: model.generate([hybrid]),
        lambda model: model.generate([PROMPT], choices=[[hybrid]]),
    ):
        with pytest.raises(LanguageModelError, match="ignore_slots"):
            call(FakeLM())
        call(FakeLM(ignore_slots=True))
    assert FakeLM(ignore_slots=True).generate([PROMPT], choices=[[hybrid]]) == ["Heat "]


def test_there_are_twenty_liars_and_all_lie_differently():
    told = {mode: FakeLM(mode=mode).generate([PROMPT])[0] for mode in LIARS}
    assert len(set(told.values())) == len(LIARS) == 20
    assert told["empty"] == ""
    assert told["seen-title"] == "Ran"
    assert len(told["ten-thousand-tokens"].split()) == 10_000
    assert told["never-stops"].count("\n") > 5_000
    assert {"Cc", "Cf", "Cs"} <= {unicodedata.category(c) for text in told.values() for c in text}
    assert told == {mode: FakeLM(mode=mode).generate([PROMPT])[0] for mode in LIARS}


@pytest.mark.parametrize("mode", LIARS)
def test_a_liar_is_bound_by_choices_unless_the_constraint_is_broken(mode):
    choices = [answers("Heat", "Jaws")]
    assert FakeLM(mode=mode).generate([PROMPT], choices=choices)[0] in ("Heat", "Jaws")
    broken = FakeLM(mode=mode, ignore_choices=True).generate([PROMPT], choices=choices)
    assert broken == FakeLM(mode=mode).generate([PROMPT])
    assert broken[0] not in ("Heat", "Jaws")


@pytest.mark.parametrize("mode", LIARS)
def test_no_lie_breaks_the_parser(mode):
    (reply,) = FakeLM(mode=mode).generate([PROMPT])
    assert parse(reply, SHOWN).index in (None, 0, 2)


def test_a_mode_that_does_not_exist_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'chatty'"):
        FakeLM(mode="chaty")
    with pytest.raises(ConfigError, match="give one of them"):
        FakeLM(["Heat"], mode="junk")
