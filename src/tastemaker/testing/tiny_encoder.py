"""A few words -> a sentence encoder with random weights: texts that share words come out near each other."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from tastemaker.llm.sentences import SentenceEncoder

WORDS = (
    "crime comedy drama horror romance war western animation thriller children documentary science fiction",
    "a film from the year 1950 1960 1970 1980 1990 1995 2000 like about something quiet lonely detective city love",
    "abcdefghijklmnopqrstuvwxyz 0123456789 . , : ; ' \" ( ) - ! ?",
)


def tiny_encoder(*, seed: int = 0) -> SentenceEncoder:
    """A `SentenceEncoder` with vectors as long as the default one's, made in a moment and always the same."""
    # Spelled out: what a trainer learns depends on the order of its hash tables, which no two processes share.
    special, letters = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"], list("abcdefghijklmnopqrstuvwxyz0123456789")
    words = sorted({word for text in WORDS for word in text.lower().split()})
    pieces = dict.fromkeys([*special, *letters, *(f"##{letter}" for letter in letters), *words])
    core = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    core.normalizer, core.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, core.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(
            BertConfig(
                vocab_size=len(tokenizer),
                hidden_size=384,
                num_hidden_layers=1,
                num_attention_heads=4,
                intermediate_size=64,
                max_position_embeddings=512,
                initializer_range=0.02,  # what a word is outweighs what stands beside it
            )
        )
    return SentenceEncoder(model, tokenizer, name="tiny encoder", fingerprint=f"tiny-{seed}")
