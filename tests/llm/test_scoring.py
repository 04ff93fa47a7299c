"""T14: scores of branches that share a row are those of each continuation read alone, however they are batched."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
)

from tastemaker.errors import PromptError
from tastemaker.llm import LocalLM, attention, scoring
from tastemaker.llm.encoding import Encoded
from tastemaker.prompts import Item, ItemSlot, Prompt, UserSlot
from tastemaker.testing.llm import answers, question
from tastemaker.testing.tiny_llm import CONTEXT, tiny_lm, tiny_tokenizer

PROMPTS = [
    question("Heat", "Alien"),
    Prompt.of("Seen: ", Item(1, "Heat"), ItemSlot(1), " by ", UserSlot(3), ":"),
    Prompt.of(ItemSlot(4)),
]
CONTINUATIONS = [
    [Prompt.of(" ", Item(2, "Jaws"), "\n"), Prompt.of(ItemSlot(2), " Jaws", ItemSlot(3), "\n"), Prompt.of(ItemSlot(1))],
    answers("Aliens", "Alien", "Alien", ""),
    [Prompt.of(" Yes"), Prompt.of(" a long one, with a slot", ItemSlot(9), " in it", UserSlot(1))],
]


def plainly(lm, prompt, continuation):
    """Log-probability of a continuation by the plainest way there is, and the state at its end."""
    whole = lm.encode(prompt) + lm.encode(continuation, start=False)
    hidden = lm.hidden([whole])[0]
    head = lm.model.get_output_embeddings()
    logits = lm.shaped(torch.nn.functional.linear(hidden.float(), head.weight.float(), head.bias))
    scores = torch.log_softmax(logits, -1)
    start, slots = len(lm.encode(prompt)), dict(whole.slots)
    total = sum(float(scores[p - 1, whole.ids[p]]) for p in range(start, len(whole)) if p not in slots)
    return total, hidden[-1]


def encoded(lm, prompts=PROMPTS, continuations=CONTINUATIONS):
    return [lm.encode(p) for p in prompts], [[lm.encode(c, start=False) for c in several] for several in continuations]


def check(lm, prompts, continuations, tolerance, side="right"):
    given = encoded(lm, prompts, continuations)
    with torch.no_grad():
        scores = scoring.log_probabilities(lm, *given, side=side)
        states = scoring.branch_hidden(lm, *given, side=side)
        for prompt, several, found, ends in zip(prompts, continuations, scores, states, strict=True):
            assert found.shape == (len(several),)
            for continuation, score, end in zip(several, found, ends, strict=True):
                expected, state = plainly(lm, prompt, continuation)
                assert float(score) == pytest.approx(expected, abs=tolerance)
                torch.testing.assert_close(end, state, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_tree_scores_as_one_by_one(lm, side):
    check(lm, PROMPTS, CONTINUATIONS, 1e-4, side)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_tree_in_bf16_scores_as_one_by_one(half, side):
    text = [question("Heat", "Alien"), Prompt.of("a")], [answers("Aliens", "Alien", ""), answers("Yes")]
    given = encoded(half, *text)
    with torch.no_grad():
        for prompt, several, scores in zip(*text, scoring.log_probabilities(half, *given, side=side), strict=True):
            for continuation, score in zip(several, scores, strict=True):
                tokens = max(1, half.length(continuation))
                assert float(score) == pytest.approx(plainly(half, prompt, continuation)[0], abs=2e-2 * tokens)


@pytest.mark.parametrize(("row", "budget"), [(0, 4096), (25, 4096), (1024, 1), (25, 60)])
def test_how_branches_are_packed_and_batched_changes_nothing(lm, monkeypatch, row, budget):
    monkeypatch.setattr(scoring, "ROW", row)
    monkeypatch.setitem(scoring.BUDGET, "cpu", budget)
    check(lm, PROMPTS, CONTINUATIONS, 1e-4)


def test_the_prompt_is_read_once_for_all_its_continuations(fresh, monkeypatch):
    read = []
    run = fresh.run
    monkeypatch.setattr(fresh, "run", lambda inputs, *rest: read.append(int(inputs.mask.sum())) or run(inputs, *rest))
    prompt, several = question("Heat"), answers("Aliens", "Jaws", "Heat")
    fresh.score([prompt], [several])
    # The last token of each is only predicted, never read.
    assert read == [fresh.length(prompt), sum(len(fresh.encode(one, start=False)) - 1 for one in several)]


@pytest.mark.parametrize("last", [1, 2])
def test_the_vocabulary_counts_to_its_last_word_a_few_at_a_time(lm, monkeypatch, last):
    whole = scoring.log_probabilities(lm, *encoded(lm))
    monkeypatch.setattr(scoring, "WORDS", lm.model.get_output_embeddings().weight.shape[0] - last)
    for scores, expected in zip(scoring.log_probabilities(lm, *encoded(lm)), whole, strict=True):
        torch.testing.assert_close(scores, expected, atol=1e-6, rtol=1e-6)


def test_a_token_that_is_all_but_certain_is_not_rounded_to_bf16(half):
    weight = half.model.get_output_embeddings().weight.float()
    hidden = (torch.randn(400, half.hidden_size, generator=torch.Generator().manual_seed(0)) * 6).bfloat16()
    truth = torch.log_softmax(hidden.float() @ weight.T, -1)
    best, tokens = truth.max(-1)
    sure = (best > -0.5).nonzero()[:, 0]
    assert len(sure) > 50
    with torch.no_grad():
        found = scoring._of_tokens(half, hidden[sure], tokens[sure].tolist())
    assert (found - best[sure]).abs().max() < 0.02


texts = st.text(st.sampled_from("Aab <s>/é1"), max_size=6)
parts = st.one_of(texts, st.builds(ItemSlot, st.integers(0, 49)), st.builds(UserSlot, st.integers(0, 49)))
prompts = st.lists(parts, max_size=4).map(lambda several: Prompt.of("S", *several))
tasks = st.lists(st.tuples(prompts, st.lists(st.lists(parts, max_size=3).map(lambda p: Prompt.of(*p)), max_size=4)))


@settings(max_examples=15)
@given(tasks, st.sampled_from(["left", "right"]), st.sampled_from([0, 12, 1024]))
def test_any_tree_scores_as_one_by_one(fresh, task, side, row):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "ROW", row)
        check(fresh, [prompt for prompt, _ in task], [several for _, several in task], 1e-4, side)


def test_scores_of_all_next_tokens_sum_to_one(lm):
    prompt = lm.encode(PROMPTS[0])
    everything = [[Encoded([token], []) for token in range(len(lm.tokenizer))]]
    (scores,) = scoring.log_probabilities(lm, [prompt], everything)
    assert float(scores.exp().sum()) == pytest.approx(1, abs=1e-4)


def test_gradients_are_those_of_one_by_one(fresh):
    fresh.filler.vectors.requires_grad_(True)
    (got,) = torch.autograd.grad(
        sum(scores.sum() for scores in scoring.log_probabilities(fresh, *encoded(fresh))), fresh.filler.vectors
    )
    total = 0
    for prompt, several in zip(*encoded(fresh), strict=True):
        for one in several:
            total = total + scoring.log_probabilities(fresh, [prompt], [[one]])[0].sum()
    (expected,) = torch.autograd.grad(total, fresh.filler.vectors)
    assert expected.abs().sum() > 0
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-3)


def test_batches_hold_what_they_may_and_lose_nothing():
    lengths = [5, 100, 3, 7, 7, 1, 0]
    groups = scoring.batches(lengths, 14)
    assert sorted(i for group in groups for i in group) == list(range(7))
    assert all(len(group) == 1 or len(group) * max(lengths[i] for i in group) <= 14 for group in groups)
    assert groups[0] == [1]
    assert len(groups) == 4
    assert scoring.batches([], 10) == []


def test_lists_that_do_not_match_are_refused(lm):
    with pytest.raises(ValueError, match="zip"):
        scoring.log_probabilities(lm, [lm.encode(PROMPTS[0])], [])
    with pytest.raises(PromptError, match="empty prompt"):
        scoring.branch_hidden(lm, [Encoded([], [])], [[lm.encode(PROMPTS[0])]])


SIZES = {"vocab_size": len(tiny_tokenizer("byte-bpe")), "max_position_embeddings": CONTEXT}
LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32, "initializer_range": 0.2}
GROUPED = {"num_key_value_heads": 2, "intermediate_size": 48}
OTHERS = {
    "sliding-window": lambda: MistralForCausalLM(MistralConfig(**SIZES, **LAYERS, **GROUPED, sliding_window=12)),
    "soft-caps": lambda: Gemma2ForCausalLM(
        Gemma2Config(**SIZES, **LAYERS, **GROUPED, head_dim=8, final_logit_softcapping=3.0, attn_logit_softcapping=2.0)
    ),
    "logit-scale": lambda: CohereForCausalLM(CohereConfig(**SIZES, **LAYERS, **GROUPED, logit_scale=0.25)),
    "own-positions": lambda: OPTForCausalLM(
        OPTConfig(
            **SIZES, num_hidden_layers=2, num_attention_heads=4, hidden_size=32, ffn_dim=48, word_embed_proj_dim=32
        )
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_families_with_ways_of_their_own_score_the_same(name, fresh):
    torch.manual_seed(0)
    lm = LocalLM(OTHERS[name](), tiny_tokenizer("byte-bpe"), name=name, fingerprint="")
    attention.install(lm.model)
    lm.filler = fresh.filler
    for side in ("left", "right"):
        check(lm, PROMPTS, CONTINUATIONS, 1e-4, side)
    text = lm.generate(PROMPTS, max_new_tokens=6)
    assert text == [lm.generate([prompt], max_new_tokens=6)[0] for prompt in PROMPTS]


def test_branches_that_would_cross_a_window_are_read_with_their_prompt():
    lm = LocalLM(OTHERS["sliding-window"](), tiny_tokenizer("byte-bpe"), name="windowed", fingerprint="")
    two = [Encoded([1, 2], []), Encoded([3], [])]
    assert scoring._kept_apart(lm, Encoded([1] * 10, []), two)
    assert not scoring._kept_apart(lm, Encoded([1] * 11, []), two)
    assert scoring._kept_apart(tiny_lm(), Encoded([1] * 100, []), two)
    assert not scoring._kept_apart(tiny_lm(), Encoded([1] * 100, []), [two[0], scoring.NOTHING])


def test_what_all_prompts_begin_with_is_read_once(fresh, monkeypatch):
    read = []
    run = fresh.run
    monkeypatch.setattr(fresh, "run", lambda inputs, *rest: read.append(int(inputs.mask.sum())) or run(inputs, *rest))
    rules = "These are the rules of the game, which are the same for all: "
    prompts = [Prompt.of(rules, Item(1, title)) for title in ("Heat", "Heather", "Alien")]
    check(fresh, prompts, [answers("Jaws", "Heat")] * 3, 1e-4)
    read.clear()
    fresh.score(prompts, [answers("Jaws", "Heat")] * 3)
    lengths = [fresh.length(prompt) for prompt in prompts]
    assert read[0] == len(scoring._common([fresh.encode(prompt) for prompt in prompts])) >= scoring.HEAD
    assert read[1] == sum(lengths) - 3 * read[0]


def test_scores_are_float32_arrays(lm):
    found = lm.score(PROMPTS, CONTINUATIONS)
    assert all(scores.dtype == np.float32 for scores in found)
