"""One tiny model a family, made once: tests leave it as they found it."""

import pytest
import torch

from tastemaker.prompts import ItemSlot
from tastemaker.testing.tiny_llm import FAMILIES, tiny_lm

MODELS = {f"{family}-{kind}": (family, kind) for family in FAMILIES for kind in ("llama", "gpt2")}


@pytest.fixture(scope="session", params=MODELS)
def shared(request):
    """Every tokenizer family with both architectures."""
    family, kind = MODELS[request.param]
    return tiny_lm(family, architecture=kind)


@pytest.fixture(scope="session")
def half():
    """A model that computes in bf16."""
    return tiny_lm("bpe", dtype=torch.bfloat16)


@pytest.fixture
def lm(shared):
    """A shared model with vectors for slots."""
    shared.filler = Table(shared.hidden_size)
    yield shared
    shared.filler = None


@pytest.fixture
def fresh():
    """A model of one's own, to change."""
    model = tiny_lm("byte-bpe")
    model.filler = Table(model.hidden_size)
    return model


class Table:
    """Vectors by item or user number, kept in ``vectors`` so that a test can change one."""

    def __init__(self, hidden_size):
        self.vectors = torch.randn(2, 50, hidden_size, generator=torch.Generator().manual_seed(7)) * 0.3

    def __call__(self, slots):
        kinds = torch.tensor([0 if isinstance(slot, ItemSlot) else 1 for slot in slots])
        numbers = torch.tensor([slot.item if isinstance(slot, ItemSlot) else slot.user for slot in slots])
        return self.vectors[kinds, numbers]
