"""LLaRA tuned on the made-up films in each of its readings, once for all tests that only ask."""

from __future__ import annotations

import pytest
import torch
from quick_llara import CHOICE, TIMELINE

from tastemaker.llm import local
from tastemaker.methods.llara import LLaRA
from tastemaker.testing.methods import chains, under
from tastemaker.testing.tiny_llm import FAMILIES, tiny_lm


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Numbers of full width, whatever this machine is fastest with."""
    monkeypatch.setattr(local, "fastest", lambda device: torch.float32)


@pytest.fixture(scope="session")
def timeline():
    """The default reading, tuned."""
    return LLaRA(tiny_lm(), under(), **TIMELINE).tune(chains())


@pytest.fixture(scope="session", params=FAMILIES)
def choice(request):
    """The paper's reading, tuned a little, for each tokenizer family."""
    return LLaRA(tiny_lm(request.param), under(), **CHOICE).tune(chains())


@pytest.fixture(scope="session")
def one_choice():
    """The paper's reading, for tests in which the tokenizer does not matter."""
    return LLaRA(tiny_lm(), under(), **CHOICE).tune(chains())
