"""BinLLM keeps to the contract of methods that answer yes or no, and its codes are what one writes by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.collab.pointwise.hashed_mf import HashedMF
from tastemaker.collab.pointwise.mf import MF
from tastemaker.errors import NotFittedError, UsageError
from tastemaker.methods.binllm import BinLLM, bits, dotted
from tastemaker.testing.preferences import PreferenceMethodContract, asked, opinions
from tastemaker.testing.tiny_llm import tiny_lm
from tastemaker.types import User

WORDS = {"max_steps": 3, "validate_every": 3, "batch_rows": 4, "validate_rows": 20}


def encoder() -> HashedMF:
    return HashedMF(embedding_size=16, epochs=5).fit(opinions())


class TestBinLLM(PreferenceMethodContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        return lambda lm, **more: BinLLM(lm, encoder(), **{**WORDS, **more})


class TestFaithfulBinLLM(PreferenceMethodContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        return lambda lm, **more: BinLLM(lm, encoder(), mode="faithful", form="bits", **{**WORDS, **more})


def test_a_code_is_written_as_an_address() -> None:
    """172 = 10101100, 16 = 00010000, 254 = 11111110, 1 = 00000001."""
    written = "10101100000100001111111000000001"
    vector = [1.0 if figure == "1" else -0.5 for figure in written]
    assert bits(vector) == written
    assert dotted(vector) == "172.16.254.1"


@given(st.lists(st.sampled_from([-1.0, 1.0]), min_size=8, max_size=64).filter(lambda one: len(one) % 8 == 0))
def test_a_code_can_be_read_back(vector: list[float]) -> None:
    back = "".join(f"{int(number):08b}" for number in dotted(vector).split("."))
    assert back == bits(vector)


def test_the_question_is_text_with_the_codes_of_both() -> None:
    model = encoder()
    method = BinLLM(tiny_lm(), model, gate=False, **WORDS)
    query = asked()[0]
    with pytest.raises(NotFittedError):
        method.asked(query)
    (prompt,) = method.tune(opinions()).asked(query)
    assert not prompt.slots
    text = prompt.text()
    assert f"feature {dotted(model.user_vectors([query])[0])}." in text
    assert f"with the feature {dotted(model.item_vectors[query.candidates[0]])}?" in text
    (strangers,) = method.asked(replace(query, user=None))
    assert text.count("feature") == 2
    assert strangers.text().count("feature") == 1
    (new,) = method.asked(replace(query, user=User(10_000)))
    assert new == strangers


def test_an_item_that_training_never_showed_has_no_code() -> None:
    model, query = encoder(), asked()[0]
    item = query.candidates[0]
    model.item_counts = np.where(np.arange(len(model.item_counts)) == item, 0, model.item_counts)
    (prompt,) = BinLLM(tiny_lm(), model, gate=False, **WORDS).tune(opinions()).asked(query)
    assert "encoded in the feature" in prompt.text()
    assert "with the feature" not in prompt.text()


def test_codes_reach_the_answer_and_titles_alone_do_not_see_them() -> None:
    method = BinLLM(tiny_lm(), encoder(), **WORDS).tune(opinions())
    query = method.known(asked()[0])
    known, stranger = ([query], [replace(query, user=None)])
    shown, hidden = ([method.reading.score(who, shown=see)[0][0] for who in (known, stranger)] for see in (True, False))
    assert shown[0] != shown[1]
    assert np.isclose(hidden[0], hidden[1], atol=1e-5)


def test_bits_that_make_no_whole_bytes_are_one_clear_line() -> None:
    odd = MF(embedding_size=12, epochs=2).fit(opinions())
    with pytest.raises(UsageError, match="12 bits make no whole bytes"):
        BinLLM(tiny_lm(), odd, **WORDS).tune(opinions())
    BinLLM(tiny_lm(), odd, form="bits", **WORDS).tune(opinions())
