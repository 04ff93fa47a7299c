"""PALR keeps to the contract of methods where candidates stand in its prompts; the timeline is tested with the rest."""

from __future__ import annotations

import pytest

from tastemaker.methods.palr import PALR
from tastemaker.testing.methods import MethodContract, under

PROMPTED = {"max_steps": 4, "batch_rows": 2, "window": 8, "list_length": 3, "history": 5}


@pytest.fixture(
    scope="class", params=["letters", *(pytest.param(d, marks=pytest.mark.slow) for d in ("score", "trie", "free"))]
)
def decode(request):
    return request.param


class TestPrompts(MethodContract):
    catalogue = False

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls, decode):
        return lambda lm: PALR(lm, under(), decode=decode, **PROMPTED)
