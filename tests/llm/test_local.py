"""Local models: the contract for every tokenizer family, slots, padding, loading."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from tastemaker import llm
from tastemaker.errors import DataError, LanguageModelError, PromptError, UnknownNameError
from tastemaker.llm import FakeLM, LocalLM, load, local
from tastemaker.llm.decoding import _unsure
from tastemaker.prompts import Item, ItemSlot, Prompt, UserSlot
from tastemaker.testing.llm import LanguageModelContract, answers, question
from tastemaker.testing.tiny_llm import tiny_lm, tiny_tokenizer

HYBRID = Prompt.of("Seen: ", Item(1, "Heat"), ItemSlot(1), ", ", Item(2, "Jaws"), ItemSlot(2), " by ", UserSlot(3), ".")


class TestLocalLM(LanguageModelContract):
    @pytest.fixture
    def model(self, shared):
        return shared


class TestBrainFloat(LanguageModelContract):
    tolerance = 0.1

    @pytest.fixture
    def model(self, half):
        return half


@pytest.mark.parametrize("side", ["left", "right"])
def test_moving_one_vector_changes_only_its_own_position(lm, side):
    batch = [lm.encode(HYBRID), lm.encode(Prompt.of(ItemSlot(5), " x"))]
    before = lm.inputs(batch, side=side).embeddings.clone()
    lm.filler.vectors[0, 2] += 1
    changed = (lm.inputs(batch, side=side).embeddings != before).any(-1)
    width = changed.shape[1]
    position = next(p for p, slot in batch[0].slots if slot == ItemSlot(2))
    assert changed.nonzero().tolist() == [[0, position + (width - len(batch[0]) if side == "left" else 0)]]


def test_slots_get_their_vectors_and_text_its_embeddings(lm):
    encoded = lm.encode(HYBRID)
    inputs = lm.inputs([encoded])
    at = dict(encoded.slots)
    for position, token in enumerate(encoded.ids):
        expected = lm.filler([at[position]])[0] if position in at else lm.model.get_input_embeddings().weight[token]
        assert torch.equal(inputs.embeddings[0, position], expected)


def test_a_filler_that_does_not_match_the_slots_is_refused(fresh):
    table = fresh.filler
    for wrong in (
        None,
        lambda slots: table(slots)[1:],
        lambda slots: table(slots)[:, 1:],
        lambda slots: table(slots)[0],
    ):
        fresh.filler = wrong
        with pytest.raises(PromptError, match="3 slots"):
            fresh.inputs([fresh.encode(HYBRID)])
    fresh.inputs([fresh.encode(question("Heat"))])  # text needs none


def test_gradients_reach_the_filler_and_nothing_else(fresh):
    fresh.filler.vectors.requires_grad_(True)
    fresh.hidden([fresh.encode(HYBRID)]).sum().backward()
    touched = fresh.filler.vectors.grad.abs().sum(-1).nonzero().tolist()
    assert touched == [[0, 1], [0, 2], [1, 3]]
    assert all(p.grad is None and not p.requires_grad for p in fresh.model.parameters())


def test_padding_on_either_side_changes_nothing(lm):
    batch = [lm.encode(one) for one in (question("Heat", "Alien"), HYBRID, Prompt.of("a"))]
    alone = [lm.hidden([one])[0] for one in batch]
    for side in ("left", "right"):
        inputs, hidden = lm.inputs(batch, side=side), lm.hidden(batch, side=side)
        for row, one in enumerate(alone):
            assert inputs.mask[row].sum() == len(one)
            assert inputs.positions[row][inputs.mask[row]].tolist() == list(range(len(one)))
            torch.testing.assert_close(hidden[row][inputs.mask[row]], one, atol=1e-4, rtol=1e-4)


def test_hidden_states_and_head_are_the_models_own(lm):
    ids = lm.encode(question("Heat")).ids
    whole = lm.model(input_ids=torch.tensor([ids])).logits
    hidden = lm.hidden([lm.encode(question("Heat"))])
    torch.testing.assert_close(lm.logits(hidden), whole, atol=1e-4, rtol=1e-4)
    few = torch.tensor([5, 2, 2])
    torch.testing.assert_close(lm.logits(hidden, few), whole[..., few], atol=1e-4, rtol=1e-4)


def test_next_logits_are_those_of_the_last_position(lm):
    prompts = [question("Heat", "Alien"), Prompt.of("a"), HYBRID]
    found = lm.next_logits(prompts, [3, 7])
    assert found.shape == (3, 2)
    for row, prompt in zip(found, prompts, strict=True):
        expected = lm.logits(lm.hidden([lm.encode(prompt)])[0, -1])[[3, 7]]
        np.testing.assert_allclose(row, expected.detach(), atol=1e-4)
    assert lm.next_logits([], [1, 2]).shape == (0, 2)


def test_what_does_not_fit_is_refused_and_not_cut(fresh):
    fresh.config.max_position_embeddings = 60
    long = question(*["Heat"] * 30)
    assert fresh.length(question("Heat")) < 60 < fresh.length(long)
    for call in (
        lambda: fresh.score([long], [answers("Heat")]),
        lambda: fresh.generate([long]),
        lambda: fresh.generate([question("Heat")], max_new_tokens=50),
        lambda: fresh.hidden([fresh.encode(long)]),
    ):
        with pytest.raises(PromptError, match="do not fit into the 60"):
            call()
    # Branches stand side by side: what counts is where each ends.
    assert len(fresh.score([question("Heat")], [answers(*["Jaws"] * 30)])[0]) == 30


def test_an_empty_prompt_predicts_nothing(fresh):
    for call in (lambda: fresh.score([Prompt.of()], [answers("Heat")]), lambda: fresh.generate([Prompt.of()])):
        with pytest.raises(PromptError, match="empty prompt"):
            call()


def test_answering_leaves_training_mode_as_it_was(fresh):
    fresh.model.train()
    fresh.score([question("Heat")], [answers("Heat")])
    assert fresh.model.training
    with pytest.raises(PromptError):
        fresh.score([Prompt.of()], [answers("Heat")])
    assert fresh.model.training


def test_embedding_rms_is_that_of_all_embeddings(lm):
    weight = lm.model.get_input_embeddings().weight
    assert lm.embedding_rms == pytest.approx(float(weight.square().mean().sqrt()), rel=1e-5)


def saved(lm, path):
    lm.model.save_pretrained(path)
    lm.tokenizer.save_pretrained(path)
    return path


@pytest.mark.parametrize(("family", "kind"), [("unigram", "llama"), ("bpe", "gpt2"), ("byte-bpe", "llama")])
def test_a_saved_model_loads_and_scores_as_before(tmp_path, family, kind, monkeypatch):
    monkeypatch.setenv("TASTEMAKER_CACHE", str(tmp_path / "cache"))
    lm = tiny_lm(family, architecture=kind)
    loaded = load(str(saved(lm, tmp_path / "model")), dtype="float32", device="cpu")
    assert loaded.model.config._attn_implementation == "matmul"
    assert len(loaded.fingerprint) == 64
    asked = [question("Heat", "Jaws")], [answers("Heat", "Alien")]
    np.testing.assert_allclose(loaded.score(*asked)[0], lm.score(*asked)[0], atol=1e-5)
    half = LocalLM.load(tmp_path / "model", dtype="bfloat16", device="cpu")
    assert (half.dtype, half.fingerprint) == (torch.bfloat16, loaded.fingerprint)
    assert LocalLM.load(tmp_path / "model").dtype in (torch.float32, torch.bfloat16)


def test_what_is_no_model_is_refused_in_one_line(tmp_path):
    with pytest.raises(DataError, match=r"expected config.json and \*.safetensors"):
        load(str(tmp_path))
    saved(tiny_lm(), tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(LanguageModelError, match="can be read"):
        load(str(tmp_path / "cut"))
    lm = saved(tiny_lm(layers=1), tmp_path / "short")
    settings = lm / "config.json"
    settings.write_text(settings.read_text().replace('"num_hidden_layers": 1', '"num_hidden_layers": 2'))
    with pytest.raises(LanguageModelError, match=r"lacks the weights model.layers.1\S+ and \d more"):
        load(str(lm))
    with pytest.raises(UnknownNameError, match="did you mean 'smollm2-135m'"):
        load("smolm2-135m")


def test_a_head_that_is_not_linear_is_refused():
    lm = tiny_lm()
    forward = lm.model.forward

    def bent(**options):
        out = forward(**options)
        out.logits = out.logits.square()
        return out

    lm.model.forward = bent
    with pytest.raises(LanguageModelError, match="not a linear layer"):
        LocalLM(lm.model, lm.tokenizer, name="bent", fingerprint="")


def test_the_fastest_numbers_are_measured(monkeypatch):
    clock = iter([0, 9] * 8 + [0, 1] * 8 + [0, 1] * 8 + [0, 9] * 8)
    monkeypatch.setattr(local.time, "perf_counter", lambda: next(clock))
    assert local.fastest.__wrapped__(torch.device("cpu")) == torch.bfloat16
    assert local.fastest.__wrapped__(torch.device("cpu")) == torch.float32


def test_names_are_imported_when_used():
    assert FakeLM.__name__ == "FakeLM"
    with pytest.raises(AttributeError, match="LocalLLM"):
        _ = llm.LocalLLM


def test_the_tiny_models_tokenizers_are_real_ones():
    assert all(isinstance(tiny_tokenizer(f).backend_tokenizer, Tokenizer) for f in ("unigram", "bpe", "byte-bpe"))


def test_a_stream_leaves_gradients_and_modes_alone(fresh):
    stream = fresh.stream(question("Alien"), max_new_tokens=4, stop="")
    next(stream)
    assert torch.is_grad_enabled()
    stream.close()


def test_a_turn_is_put_into_the_chat_template(fresh):
    fresh.tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant: {% endif %}"
    )
    asked = fresh.asked(question("Alien<|im_end|>"))
    assert asked.parts[0] == "<|im_start|>user: "
    assert asked.parts[-1] == "<|im_end|><|im_start|>assistant: "
    assert sum(i == fresh.tokenizer.convert_tokens_to_ids("<|im_end|>") for i in fresh.encode(asked).ids) == 1


def test_half_a_character_is_held_back():
    texts = ("", "so th", "so", "x the e", "the en", "a\ufffd")
    assert [_unsure(text, "the end") for text in texts] == [
        0,
        2,
        0,
        5,
        6,
        1,
    ]
