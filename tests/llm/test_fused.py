"""What is fused gives the numbers and the gradients of what it replaces, and replaces nothing else."""

import copy

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM
from transformers.cache_utils import DynamicCache

from tastemaker.llm import fused

SIZES = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}


def llama(**changes):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES, initializer_range=0.3, **changes)).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return model.requires_grad_(False)


def replaced(model):
    return {type(m).__name__ for m in model.modules() if "forward" in vars(m)}


def run(model, embeddings, **options):
    embeddings = embeddings.clone().requires_grad_(True)
    states = model.model(inputs_embeds=embeddings, **options).last_hidden_state
    states.square().sum().backward()
    return states, embeddings.grad


@pytest.mark.parametrize("padded", [False, True])
def test_states_and_gradients_are_those_of_the_model_as_it_came(padded):
    plain = llama()
    fast = copy.deepcopy(plain)
    assert fused.install(fast)
    assert replaced(fast) == {"LlamaRMSNorm", "LlamaMLP", "LlamaAttention"}
    embeddings = torch.randn(2, 7, 32, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(2, 7, dtype=torch.long)
    mask[0, :3] = 0
    options = {"attention_mask": mask} if padded else {}
    ours, theirs = run(fast, embeddings, **options), run(plain, embeddings, **options)
    seen = mask.bool() if padded else torch.ones(2, 7, dtype=torch.bool)
    torch.testing.assert_close(ours[0][seen], theirs[0][seen], atol=1e-4, rtol=1e-4)
    if not padded:
        torch.testing.assert_close(ours[1], theirs[1], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("function", ["_Norm", "_Gate", "_Rotation"])
def test_gradients_are_those_of_small_differences(function):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    x, y = draw(3, 8).requires_grad_(True), draw(3, 8).requires_grad_(True)
    angles = draw(3, 4).repeat(1, 2)
    asked = {"_Norm": (x, draw(8), 1e-3), "_Gate": (x, y), "_Rotation": (x, angles.cos(), angles.sin())}[function]
    assert torch.autograd.gradcheck(getattr(fused, function).apply, asked)


def test_bf16_is_as_near_to_the_truth_as_the_model_as_it_came():
    truth = llama()
    plain = copy.deepcopy(truth).bfloat16()
    fast = copy.deepcopy(plain)
    fused.install(fast)
    ids = torch.arange(40).view(4, 10)
    with torch.no_grad():
        exact, theirs, ours = (model(input_ids=ids).logits.float() for model in (truth, plain, fast))
    assert (ours - exact).square().mean() < 2 * (theirs - exact).square().mean()


def test_a_cache_is_filled_and_read():
    model = llama()
    fused.install(model)
    ids = torch.arange(8)[None]
    with torch.no_grad():
        whole = model(input_ids=ids).logits
        cache = DynamicCache()
        model(input_ids=ids[:, :5], past_key_values=cache, use_cache=True)
        rest = model(input_ids=ids[:, 5:], past_key_values=cache, use_cache=True).logits
    torch.testing.assert_close(rest, whole[:, 5:], atol=1e-4, rtol=1e-4)


def test_other_families_keep_what_differs():
    torch.manual_seed(0)
    qwen = Qwen3ForCausalLM(Qwen3Config(**SIZES)).eval()
    gelu = llama(hidden_act="gelu")
    gpt = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=32, n_layer=1, n_head=4)).eval()
    for model, expected in (
        (qwen, {"Qwen3RMSNorm", "Qwen3MLP"}),  # its attention has norms of its own
        (gelu, {"LlamaRMSNorm", "LlamaAttention"}),
        (gpt, set()),
    ):
        before = model(input_ids=torch.arange(6)[None]).logits
        fused.install(model)
        assert replaced(model) == expected
        torch.testing.assert_close(model(input_ids=torch.arange(6)[None]).logits, before, atol=1e-4, rtol=1e-4)
