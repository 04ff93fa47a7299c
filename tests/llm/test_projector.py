"""Item vectors into slots and hidden states into scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tastemaker.errors import PromptError
from tastemaker.llm import projector as module
from tastemaker.llm.projector import ItemHead, Projector
from tastemaker.prompts import Item, ItemSlot, Prompt, UserSlot
from tastemaker.testing.tiny_llm import tiny_lm

N, WIDTH, HIDDEN = 9, 4, 32
VECTORS = np.random.default_rng(0).normal(2, 3, (N, WIDTH)).astype(np.float32)
TEXTS = np.random.default_rng(1).normal(0, 1, (N, 3)).astype(np.float32)


def made(*, scale=0.3, texts=None, seed=0, vectors=VECTORS):
    generator = torch.Generator().manual_seed(seed)
    return Projector(vectors, HIDDEN, scale=scale, rms=0.5, generator=generator, texts=texts)


def slots(*items):
    return [ItemSlot(item) for item in items]


def rms(tensor):
    return tensor.square().mean(-1).sqrt()


def test_one_row_a_slot_in_order_and_equal_items_alike():
    projector = made()
    found = projector(slots(3, 1, 3, 8))
    assert found.shape == (4, HIDDEN)
    assert torch.equal(found[0], found[2])
    torch.testing.assert_close(found[1], projector(slots(1))[0])
    assert not torch.allclose(found[0], found[1])


def test_distinct_items_are_projected_once(monkeypatch):
    rows = []
    real = module.functional.gelu
    monkeypatch.setattr(module.functional, "gelu", lambda x: rows.append(len(x)) or real(x))
    made()(slots(3, 1, 3, 3, 8, 1))
    assert rows == [3]


def test_it_is_linear_gelu_linear_over_the_vector_as_it_came():
    projector = made(scale=None)
    first, second = projector.first, projector.second
    expected = second(torch.nn.functional.gelu(first(torch.from_numpy(VECTORS[[5, 2]]))))
    torch.testing.assert_close(projector(slots(5, 2)), expected)


@pytest.mark.parametrize("texts", [None, TEXTS])
def test_with_a_scale_every_row_has_its_width(texts):
    found = made(scale=0.3, texts=texts)(slots(*range(N)))
    torch.testing.assert_close(rms(found), torch.full((N,), 0.3), rtol=1e-3, atol=0)


def test_with_a_scale_neither_unit_nor_offset_of_the_vectors_matters():
    moved = made(vectors=VECTORS * 100 - 7)
    torch.testing.assert_close(moved(slots(0, 4)), made()(slots(0, 4)), rtol=1e-3, atol=1e-4)


def test_text_only_slots_say_nothing_about_the_item():
    projector = made()
    projector.hybrid = False
    found = projector(slots(3, 1))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], projector.blank)
    assert float(rms(projector.blank)) == pytest.approx(0.5, rel=0.5)
    assert not found.requires_grad


def test_text_only_slots_still_hold_what_titles_say():
    projector = made(texts=TEXTS)
    hybrid = projector(slots(3, 1))
    projector.hybrid = False
    found = projector(slots(3, 1))
    assert not torch.allclose(found[0], found[1])
    projector.vectors.add_(1)  # what nobody may see now
    assert torch.equal(projector(slots(3, 1)), found)
    projector.hybrid = True
    assert not torch.allclose(projector(slots(3, 1)), hybrid)


def test_moving_one_vector_changes_only_its_own_slots():
    lm, projector = tiny_lm(), made()
    lm.filler = projector
    prompts = [
        Prompt.of("Seen: ", Item(3, "Heat"), ItemSlot(3), ", ", ItemSlot(5), ", ", ItemSlot(3), "."),
        Prompt.of(ItemSlot(1), " x"),
    ]
    batch = [lm.encode(prompt) for prompt in prompts]
    before = lm.inputs(batch).embeddings.detach().clone()
    projector.vectors[3] += 1
    changed = (lm.inputs(batch).embeddings != before).any(-1)
    own = [[0, position] for position, slot in batch[0].slots if slot == ItemSlot(3)]
    assert changed.nonzero().tolist() == own
    assert len(own) == 2


def test_only_its_layers_learn():
    projector = made(texts=TEXTS)
    projector(slots(1, 2)).sum().backward()
    assert {name for name, p in projector.named_parameters() if p.grad is not None and p.grad.any()} == {
        f"{layer}.{part}" for layer in ("first", "second") for part in ("weight", "bias")
    }
    assert {"vectors", "texts", "blank"} <= projector.state_dict().keys()


def test_users_have_no_vectors_here():
    with pytest.raises(PromptError, match="items only"):
        made()([ItemSlot(1), UserSlot(1)])


def test_the_same_generator_makes_the_same_projector_and_torch_is_left_alone():
    before = torch.random.get_rng_state()
    one, two, other = made(), made(), made(seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert not torch.equal(one.first.weight, other.first.weight)
    assert not torch.equal(one.blank, other.blank)
    one(slots(0))
    ItemHead([VECTORS], np.zeros(N, dtype=np.int32), HIDDEN)
    assert torch.equal(before, torch.random.get_rng_state())


def test_an_untrained_head_ranks_by_popularity():
    counts = np.array([3, 0, 9, 1, 1, 4, 0, 2, 5], dtype=np.int32)
    head = ItemHead([VECTORS], counts, HIDDEN)
    logits = head(torch.randn(2, 5, HIDDEN, generator=torch.Generator().manual_seed(0)).bfloat16())
    assert logits.shape == (2, 5, N)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, torch.log1p(torch.tensor(counts).float()).expand(2, 5, N))


def test_a_head_scores_items_by_the_likeness_of_their_vectors():
    head = ItemHead([VECTORS, TEXTS], np.zeros(N, dtype=np.int32), HIDDEN)
    with torch.no_grad():
        head.query.bias.copy_(head.vectors[4] / head.vectors[4].norm())
        head.query.weight.zero_()
    norms = [torch.from_numpy(t).norm(dim=1).mean() for t in (VECTORS, TEXTS)]
    table = torch.cat([torch.from_numpy(t) / n for t, n in zip((VECTORS, TEXTS), norms, strict=True)], dim=1)
    found = head(torch.zeros(HIDDEN))
    torch.testing.assert_close(found, 3 * table @ (table[4] / table[4].norm()))


def test_the_head_drops_only_while_it_learns():
    head = ItemHead([VECTORS], np.zeros(N, dtype=np.int32), HIDDEN)
    torch.nn.init.normal_(head.query.weight, generator=torch.Generator().manual_seed(0))
    states = torch.ones(3, HIDDEN)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.equal(head.train()(states, dropout=0.5), head(states, dropout=0.5))
        assert torch.equal(head.eval()(states, dropout=0.5), head(states))
