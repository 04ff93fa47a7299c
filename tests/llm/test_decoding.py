"""T14: text written with a cache is the text written without one; choices bind."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tastemaker.errors import PromptError
from tastemaker.llm import decoding
from tastemaker.prompts import Item, ItemSlot, Prompt, Quoted, UserSlot
from tastemaker.testing.llm import TITLES, answers, question
from tastemaker.testing.tiny_llm import tiny_lm

PROMPTS = [
    question("Heat", "Alien"),
    Prompt.of("Seen: ", Item(1, "Heat"), ItemSlot(1), ", ", Item(2, "Ran"), ItemSlot(2), " by ", UserSlot(3), ":"),
    Prompt.of("a"),
    *(Prompt.of("a", ItemSlot(i), "b") for i in range(4)),
]


def next_scores(lm, ids):
    with torch.no_grad():
        return lm.logits(lm.hidden([ids])[0, -1])


def written_plainly(lm, prompt, n):
    """Greedy tokens without any cache or batch."""
    encoded, written = lm.encode(prompt), []
    for _ in range(n):
        token = int(next_scores(lm, encoded).argmax())
        if token in decoding.end_tokens(lm):
            break
        written.append(token)
        encoded = encoded + type(encoded)([token], [])
    return lm.encode.decode(written)


def test_cached_text_is_uncached_text(lm):
    assert lm.generate(PROMPTS, max_new_tokens=7, stop="") == [written_plainly(lm, p, 7) for p in PROMPTS]


def test_the_length_is_kept(fresh):
    for n in (1, 3):
        assert fresh.generate(PROMPTS[:1], max_new_tokens=n, stop="") == [written_plainly(fresh, PROMPTS[0], n)]
    assert fresh.generate(PROMPTS[:2], max_new_tokens=0) == ["", ""]


def test_text_ends_before_stop_and_rows_end_one_by_one(fresh):
    whole = fresh.generate(PROMPTS, max_new_tokens=9, stop="")
    stop = whole[0][3]
    assert fresh.generate(PROMPTS, max_new_tokens=9, stop=stop) == [text.partition(stop)[0] for text in whole]


def test_the_models_own_end_ends_the_text(fresh):
    ids = fresh.encode(PROMPTS[0])
    first = int(next_scores(fresh, ids).argmax())
    fresh.model.generation_config.eos_token_id = [first, 1]
    assert decoding.end_tokens(fresh) >= {first, 1, fresh.tokenizer.eos_token_id}
    assert fresh.generate(PROMPTS[:1], max_new_tokens=9) == [""]


def test_no_work_is_done_once_all_rows_have_ended(fresh, monkeypatch):
    steps, step = [], fresh.step
    monkeypatch.setattr(fresh, "step", lambda *a, **o: steps.append(1) or step(*a, **o))
    text = fresh.generate(PROMPTS[:1], max_new_tokens=50, stop="")[0]
    steps.clear()
    fresh.generate(PROMPTS[:1], max_new_tokens=50, stop=text[0])
    assert len(steps) <= 3
    steps.clear()
    fresh.generate(PROMPTS[:2], choices=[answers("Heat"), answers("Jaws")])
    assert steps == []


def chosen_plainly(lm, prompt, choices, stop):
    """The choice that greedy steps among the tokens that may follow lead to."""
    end = lm.encode(Prompt.of(stop), start=False).ids
    end = end if lm.encode.unknown.isdisjoint(end) else [lm.tokenizer.eos_token_id]
    spelled = [lm.encode(one, start=False).ids + end for one in choices]
    encoded, written = lm.encode(prompt), []
    while written not in spelled:
        allowed = {ids[len(written)] for ids in spelled if ids[: len(written)] == written}
        scores = next_scores(lm, encoded)
        token = max(sorted(allowed), key=lambda i: float(scores[i]))
        written, encoded = [*written, token], encoded + type(encoded)([token], [])
    return choices[spelled.index(written)].text()


@pytest.mark.parametrize("stop", ["\n", ". The end"])
def test_choices_are_made_token_by_token_among_what_may_follow(lm, stop):
    choices = answers(*TITLES, "Alien 3", "A", "Jaws 2", "Jaws")
    expected = [chosen_plainly(lm, prompt, choices, stop) for prompt in PROMPTS]
    assert lm.generate(PROMPTS, choices=[choices] * len(PROMPTS), stop=stop) == expected


def test_a_choice_may_hold_the_stop_or_slots(fresh):
    choices = [Prompt.of("Heat", ItemSlot(1)), Prompt.of("Jaws\nmore"), Prompt.of(Quoted(""))]
    assert fresh.generate(PROMPTS[:1], choices=[choices[:1]], stop="") == ["Heat"]
    for several in (choices, choices[1:2]):
        assert fresh.generate(PROMPTS[:1], choices=[several])[0] in ("Heat", "Jaws\nmore", "")


def test_ending_is_weighed_like_any_other_token(fresh):
    """A title that starts another wins only if the model would rather end than go on."""
    (prompt,), pair = PROMPTS[:1], answers("Alien", "Aliens")
    ids = fresh.encode(prompt) + fresh.encode(pair[0], start=False)
    going_on = fresh.encode(pair[1], start=False).ids[len(fresh.encode(pair[0], start=False)) :]
    assert len(going_on) == 1  # else the tokens fork earlier and this test shows nothing
    scores = next_scores(fresh, ids)
    end = fresh.encode(Prompt.of("\n"), start=False).ids[0]
    expected = "Alien" if scores[end] > scores[going_on[0]] else "Aliens"
    assert fresh.generate([prompt], choices=[pair]) == [expected]
    assert fresh.generate([prompt], choices=[pair[::-1]]) == [expected]


def test_a_model_without_an_end_needs_a_stop(fresh):
    fresh.tokenizer.eos_token = None
    fresh.model.generation_config.eos_token_id = None
    with pytest.raises(PromptError, match="no end-of-text token"):
        fresh.generate(PROMPTS[:1], choices=[answers("Heat", "Jaws")], stop="")


def test_threads_write_what_each_would_alone():
    lm = tiny_lm()
    prompts = [Prompt.of(text) for text in ("one film", "another, rather longer, about the sea", "x")]
    alone = ["".join(lm.stream(prompt, max_new_tokens=24, stop="")) for prompt in prompts]
    with ThreadPoolExecutor(3) as threads:
        told = threads.map(lambda prompt: "".join(lm.stream(prompt, max_new_tokens=24, stop="")), 8 * prompts)
        assert list(told) == 8 * alone
