"""Every method found in the package keeps to the contract, and LLaRA in both its readings."""

from __future__ import annotations

import pytest

from tastemaker import methods
from tastemaker.testing.methods import MethodContract, under

QUICK = {
    "llara": {
        "content": "hybrid",
        "epochs": 6,
        "batch_positions": 256,
        "validate_every": 5,
        "validate_cases": 8,
        "text_size": 4,
        "lora_dropout": 0.2,
    },
    "palr": {"content": "hybrid", "epochs": 4, "batch_positions": 256, "validate_cases": 8, "text_size": 4, "n": 10},
}
"""Settings by which methods tune on the made-up films in a second or two; those not listed tune as they come."""
CHOICE = {
    "mode": "faithful",
    "candidates": 6,
    "max_steps": 6,
    "batch_rows": 4,
    "accumulate": 2,
    "validate_every": 4,
    "validate_cases": 4,
}


OWN_FILE = {"binllm", "chatrec", "collm", "tallrec"}
"""Those whose own tests inherit a contract: re-rankers that train nothing, and methods that answer yes or no."""


class TestEveryMethod(MethodContract):
    @pytest.fixture(scope="class", params=[name for name in methods.registry.names() if name not in OWN_FILE])
    @classmethod
    def make(cls, request):
        return lambda lm: methods.registry.get(request.param)(lm, under(), **QUICK.get(request.param, {}))


class TestFaithfulLLaRA(MethodContract):
    catalogue = False

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        return lambda lm: methods.LLaRA(lm, under(), **CHOICE)


def test_llara_is_found():
    assert "llara" in methods.registry.names()
