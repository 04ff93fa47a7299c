"""T9: adapters train and nothing else does; merged, unmerged, saved and loaded they say the same."""

import json

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, inject_adapter_in_model
from peft.tuners.lora import LoraLayer

from tastemaker import artifacts
from tastemaker.errors import ArtifactError, LanguageModelError
from tastemaker.llm import adapters, scoring
from tastemaker.prompts import ItemSlot, Prompt
from tastemaker.testing.llm import answers, question
from tastemaker.testing.tiny_llm import tiny_lm

QUESTION = [question("Heat", "Alien")], [answers("Jaws", "Ran")]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def trained(lm, **options):
    """The model with adapters that do something."""
    parameters = adapters.attach(lm, generator=generator(), **options)
    with torch.no_grad():
        for i, parameter in enumerate(parameters):
            parameter.add_(torch.randn(parameter.shape, generator=generator(i)) * 0.2)
    return parameters


def frozen(lm):
    return {n: p.detach().clone() for n, p in lm.model.named_parameters() if "lora_" not in n}


def scores(lm):
    return lm.score(*QUESTION)[0]


def loss(lm):
    """Minus the log-probability of an answer, with gradients."""
    prompt, answer = QUESTION[0][0], QUESTION[1][0][0]
    return -scoring.log_probabilities(lm, [lm.encode(prompt)], [[lm.encode(answer, start=False)]])[0].sum()


def test_attached_adapters_change_nothing_yet(fresh):
    before = scores(fresh)
    parameters = adapters.attach(fresh, r=4, alpha=8, generator=generator())
    assert np.array_equal(scores(fresh), before)
    assert {p.dtype for p in parameters} == {torch.float32}
    assert all(p.requires_grad for p in parameters)
    assert {id(p) for p in fresh.model.parameters() if p.requires_grad} == {id(p) for p in parameters}


def test_a_change_of_the_matrices_counts_from_the_next_pass_on(fresh):
    parameters = adapters.attach(fresh, r=4, alpha=8, generator=generator())
    draws = generator()
    for _ in range(2):
        before = scores(fresh), loss(fresh).item()
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(torch.randn(parameter.shape, generator=draws) * 0.1)
        after = scores(fresh), loss(fresh).item()
        assert np.abs(after[0] - before[0]).max() > 1e-3
        assert abs(after[1] - before[1]) > 1e-3
        assert after[1] == pytest.approx(-after[0][0], abs=1e-4)


def test_every_linear_layer_but_the_head_has_adapters(fresh):
    linear = {n for n, m in fresh.model.named_modules() if isinstance(m, torch.nn.Linear)}
    adapters.attach(fresh, generator=generator())
    names = {n for n, m in fresh.model.named_modules() if isinstance(m, LoraLayer)}
    assert names == linear - {"lm_head"}
    assert len(names) == 14


def test_targets_can_be_named_and_wrong_ones_are_refused(fresh):
    assert len(adapters.attach(fresh, targets=["q_proj", "v_proj"], generator=generator())) == 8
    with pytest.raises(LanguageModelError, match="adapters already"):
        adapters.attach(fresh, generator=generator())
    adapters.detach(fresh)
    with pytest.raises(LanguageModelError, match="nonsense"):
        adapters.attach(fresh, targets=["nonsense"], generator=generator())
    assert len(adapters.attach(fresh, generator=generator())) == 28


def test_the_generator_decides_and_the_global_one_is_left_alone():
    states = []
    for seed in (1, 1, 2):
        lm = tiny_lm()
        torch.manual_seed(5)
        adapters.attach(lm, generator=generator(seed))
        assert torch.equal(torch.rand(1), torch.rand(1, generator=generator(5)))
        states.append(adapters.adapter_state(lm))
    name = next(n for n in states[0] if "lora_A" in n)
    assert np.array_equal(states[0][name], states[1][name])
    assert not np.array_equal(states[0][name], states[2][name])


def reference(dropout=0.0):
    """The same adapters as peft itself runs them."""
    lm = tiny_lm()
    inject_adapter_in_model(LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", lora_dropout=dropout), lm.model)
    return lm


def test_outputs_and_gradients_are_those_of_peft(fresh):
    theirs = reference()
    mine = trained(fresh)
    named = {n: p for n, p in theirs.model.named_parameters() if "lora_" in n}
    own = {n: p for n, p in fresh.model.named_parameters() if "lora_" in n}
    assert named.keys() == own.keys()
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.requires_grad_(True).data.copy_(own[name])
    assert len(mine) == len(named)
    for lm in (fresh, theirs):
        loss(lm).backward()
    np.testing.assert_allclose(scores(fresh), scores(theirs), atol=1e-4)
    for name, parameter in named.items():
        torch.testing.assert_close(own[name].grad, parameter.grad, atol=1e-5, rtol=1e-3)


def test_gradients_pass_through_to_what_lies_below(fresh):
    trained(fresh)
    fresh.filler.vectors.requires_grad_(True)
    encoded = [fresh.encode(Prompt.of("a", ItemSlot(1), "b"))]

    def value():
        return fresh.logits(fresh.hidden(encoded))[0, -1, 7]

    (got,) = torch.autograd.grad(value(), fresh.filler.vectors)
    step = torch.zeros_like(got)
    step[0, 1, 3] = 1e-2
    with torch.no_grad():
        fresh.filler.vectors += step
        up = value()
        fresh.filler.vectors -= 2 * step
        down = value()
    assert float(got[0, 1, 3]) == pytest.approx(float(up - down) / 2e-2, rel=2e-2)


def test_training_moves_the_adapters_and_nothing_else(fresh):
    parameters = adapters.attach(fresh, generator=generator())
    before, start = frozen(fresh), [p.detach().clone() for p in parameters]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    fresh.model.train()
    for _ in range(2):
        optimizer.zero_grad()
        loss(fresh).backward()
        optimizer.step()
    assert all(torch.equal(p, before[n]) for n, p in frozen(fresh).items())
    assert all(not torch.equal(p, old) for p, old in zip(parameters, start, strict=True))


def test_bf16_trains_fp32_matrices(half):
    parameters = trained(half)
    try:
        loss(half).backward()
        assert {p.dtype for p in parameters} == {p.grad.dtype for p in parameters} == {torch.float32}
        assert all(float(p.grad.abs().sum()) > 0 for p in parameters)
        layer = next(m for m in half.model.modules() if isinstance(m, adapters.FastLinear))
        assert layer(torch.ones(1, 32, dtype=torch.bfloat16)).dtype == torch.bfloat16
    finally:
        adapters.detach(half)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_merging_changes_no_score_and_unmerging_restores_every_bit(kind, dtype):
    lm = tiny_lm(architecture=kind, dtype=dtype)
    plain = scores(lm)
    trained(lm)
    before, hidden = frozen(lm), lm.hidden([lm.encode(QUESTION[0][0])])
    with adapters.merged(lm), adapters.merged(lm):
        merged = lm.hidden([lm.encode(QUESTION[0][0])])
        assert any(not torch.equal(p, before[n]) for n, p in frozen(lm).items())
    exact = kind == "llama"  # trained as merged, so the same to the bit; peft's own layers for Conv1D round differently
    torch.testing.assert_close(merged, hidden, atol=0 if exact else 0.1, rtol=0 if exact else 0.1)
    assert all(torch.equal(p, before[n]) for n, p in frozen(lm).items())
    assert not np.allclose(scores(lm), plain, atol=1e-3)
    adapters.detach(lm)
    assert np.array_equal(scores(lm), plain)
    assert frozen(lm).keys() == frozen(tiny_lm(architecture=kind)).keys()


def test_an_error_inside_unmerges_too(fresh):
    trained(fresh)
    before = frozen(fresh)
    with pytest.raises(RuntimeError, match="inside"), adapters.merged(fresh):
        raise RuntimeError("inside")
    assert all(torch.equal(p, before[n]) for n, p in frozen(fresh).items())
    loss(fresh).backward()


def test_dropout_drops_in_training_only(fresh):
    trained(fresh, dropout=0.5)
    still = [loss(fresh).item() for _ in range(2)]
    assert still[0] == still[1]
    fresh.model.train()
    torch.manual_seed(0)
    assert len({loss(fresh).item() for _ in range(3)}) == 3


def test_under_autocast_layers_run_as_peft_has_them(fresh):
    trained(fresh)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss(fresh).backward()


def test_state_goes_out_and_comes_back(fresh):
    trained(fresh)
    expected, state = scores(fresh), adapters.adapter_state(fresh)
    other = tiny_lm()
    adapters.attach(other, generator=generator(9))
    adapters.load_adapter_state(other, state)
    assert np.array_equal(scores(other), expected)
    state[next(iter(state))][:] = 7  # a copy, not a view of the weights
    assert np.array_equal(scores(fresh), expected)


@pytest.mark.parametrize("wrong", ["missing", "unknown", "shape", "numbers"])
def test_a_state_that_does_not_fit_is_refused_whole(fresh, wrong):
    adapters.attach(fresh, generator=generator())
    before = adapters.adapter_state(fresh)
    state = {name: array + 1 for name, array in before.items()}
    name = list(state)[-1]
    if wrong == "missing":
        del state[name]
    elif wrong == "unknown":
        state["base_model.model.extra"] = state[name]
    elif wrong == "shape":
        state[name] = state[name].T
    else:
        state[name][0, 0] = np.nan
    with pytest.raises(ArtifactError, match=r"base_model\.model"):
        adapters.load_adapter_state(fresh, state)
    assert all(np.array_equal(array, before[n]) for n, array in adapters.adapter_state(fresh).items())


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft asks transformers for it
@pytest.mark.parametrize(("kind", "targets"), [("llama", "all-linear"), ("gpt2", "all-linear"), ("llama", ["q_proj"])])
def test_peft_reads_what_we_save_and_computes_the_same(tmp_path, kind, targets):
    lm = tiny_lm(architecture=kind)
    trained(lm, r=4, alpha=12, targets=targets)
    state, config = adapters.adapter_state(lm), adapters.adapter_config(lm)
    artifacts.save(tmp_path / "a", kind="adapter", arrays={"adapter_model": state}, json={"adapter_config": config})
    assert json.loads((tmp_path / "a" / "adapter_config.json").read_text())["lora_alpha"] == 12
    other = tiny_lm(architecture=kind)
    theirs = PeftModel.from_pretrained(other.model, tmp_path / "a")
    ids = torch.tensor([lm.encode(QUESTION[0][0]).ids])
    torch.testing.assert_close(theirs(input_ids=ids).logits, lm.model(input_ids=ids).logits, atol=1e-4, rtol=1e-4)
