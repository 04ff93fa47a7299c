"""Our attention gives what transformers' own gives, under every mask, forwards and backwards."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from tastemaker.llm import attention

B, H, T, D = 2, 4, 6, 8


class Layer(torch.nn.Module):
    is_causal = True

    def __init__(self, groups):
        super().__init__()
        self.num_key_value_groups = groups


def tensors(groups=2, queries=T, keys=T, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shapes = (H, queries), (H // groups, keys), (H // groups, keys)
    return [torch.randn(B, h, t, D, generator=generator).to(dtype).requires_grad_(True) for h, t in shapes]


def masks():
    allowed = torch.rand(B, 1, T, T, generator=torch.Generator().manual_seed(1)) < 0.6
    allowed |= torch.eye(T, dtype=torch.bool)
    heads = allowed.expand(B, H, T, T).clone()
    heads[:, 1, :, 0] = True
    number = torch.randn(1, 1, T, T, generator=torch.Generator().manual_seed(2))
    return {
        "causal": None,
        "booleans": allowed,
        "per head": heads,
        "numbers": number,
        "added": attention.additive(allowed, torch.float32),
    }


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("name", masks())
def test_every_mask_is_honoured(groups, name):
    ours, theirs = tensors(groups), tensors(groups)
    mask, layer = masks()[name], Layer(groups)
    found, _ = attention.attention(layer, *ours, mask, scaling=0.3)
    expected, _ = sdpa_attention_forward(layer, *theirs, mask, scaling=0.3)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    found.square().sum().backward()
    expected.square().sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-4)


def test_a_query_after_a_cache_sees_all_keys_before_it():
    layer = Layer(2)
    query, key, value = tensors()
    whole, _ = attention.attention(layer, query, key, value, None)
    for n in (1, 3):
        late, _ = attention.attention(layer, query[:, :, -n:], key, value, None)
        torch.testing.assert_close(late, whole[:, -n:])


def test_without_causal_order_everything_is_seen():
    layer = Layer(2)
    query, key, value = tensors()
    found, _ = attention.attention(layer, query, key, value, None, is_causal=False)
    expected, _ = attention.attention(layer, query, key, value, torch.zeros(1, 1, T, T))
    torch.testing.assert_close(found, expected)


def test_a_soft_cap_is_applied():
    layer = Layer(1)
    query, key, value = tensors(1)
    found, _ = attention.attention(layer, query, key, value, torch.zeros(1, 1, T, T), scaling=1.0, softcap=2.0)
    weights = torch.softmax(2.0 * torch.tanh(query @ key.transpose(2, 3) / 2.0), -1)
    torch.testing.assert_close(found, (weights @ value).transpose(1, 2), atol=1e-5, rtol=1e-5)


def test_long_sequences_go_to_transformers_own(monkeypatch):
    expected = attention.attention(Layer(2), *tensors(), None)[0]
    called = []

    def theirs(*args, **options):
        called.append(1)
        return sdpa_attention_forward(*args, **options)

    monkeypatch.setattr(attention, "sdpa_attention_forward", theirs)
    monkeypatch.setattr(attention, "LONGEST", T - 1)
    torch.testing.assert_close(attention.attention(Layer(2), *tensors(), None)[0], expected, atol=1e-5, rtol=1e-5)
    assert called


def test_dropout_drops():
    torch.manual_seed(0)
    query, key, value = tensors()
    kept, _ = attention.attention(Layer(2), query, key, value, None)
    dropped, _ = attention.attention(Layer(2), query, key, value, None, dropout=0.5)
    assert not torch.allclose(kept, dropped)


def test_the_triangle_made_while_scoring_serves_training():
    attention._whole.cache_clear()
    with torch.inference_mode():
        attention.attention(Layer(2), *tensors(), None)
    found, _ = attention.attention(Layer(2), *tensors(), None)
    found.sum().backward()


def test_one_triangle_serves_all_lengths_and_none_is_made_beyond_the_longest(monkeypatch):
    monkeypatch.setattr(attention, "LONGEST", 8)
    attention._whole.cache_clear()
    pieces = [attention._triangle(n, keys, torch.float32, torch.device("cpu")) for keys in (5, 8) for n in (1, 3, 5)]
    assert len({piece.untyped_storage().data_ptr() for piece in pieces}) == 1
    for piece, (keys, n) in zip(pieces, [(keys, n) for keys in (5, 8) for n in (1, 3, 5)], strict=True):
        allowed = torch.ones(n, keys, dtype=torch.bool).tril(keys - n)
        torch.testing.assert_close(piece[0, 0], attention.additive(allowed, torch.float32))
    monkeypatch.setattr(attention, "_mask", lambda *arguments: pytest.fail("a table that nobody reads"))
    query, key, value = (torch.randn(1, 2, 12, 4) for _ in range(3))
    attention.attention(Layer(1), query, key, value, None)
    attention._whole.cache_clear()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_with_padding_computes_as_with_transformers_own(dtype):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    model = LlamaForCausalLM(config).eval().to(dtype)
    ids = torch.arange(12).view(2, 6)
    mask = torch.ones_like(ids)
    mask[0, :2] = 0
    expected = [model(input_ids=ids).logits, model(input_ids=ids, attention_mask=mask).logits[mask.bool()]]
    assert attention.install(model)
    assert model.config._attn_implementation == "matmul"
    found = [model(input_ids=ids).logits, model(input_ids=ids, attention_mask=mask).logits[mask.bool()]]
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


def test_a_model_with_its_own_attention_keeps_it():
    class Other:
        _supports_attention_backend = False
        _supports_sdpa = True

    assert not attention.install(Other())
