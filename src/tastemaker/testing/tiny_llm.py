"""A name of a tokenizer family -> a tiny language model with random weights, made on the spot."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tastemaker.llm import fused
from tastemaker.llm.local import LocalLM

Family = Literal["unigram", "bpe", "byte-bpe"]
FAMILIES: tuple[Family, ...] = ("unigram", "bpe", "byte-bpe")
"""Unigram with a space before words; BPE over characters, the space put before every text; BPE over bytes."""
TEXTS = (
    "Seen: Alien, Heat, Jaws, The Usual Suspects, Twelve Monkeys. Which film is next? Answer: Toy Story",
    "This user has watched The Godfather, Fargo, Amélie and 1984. Yes. No. Choose one of these titles.",
    "Spider-Man: Far from Home, 101 Dalmatians, Ran, Aliens, user, assistant, system, [INST] a < b > c",
)
CONTEXT = 4096


def tiny_lm(
    family: Family = "byte-bpe",
    *,
    architecture: Literal["llama", "gpt2"] = "llama",
    hidden_size: int = 32,
    layers: int = 2,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> LocalLM:
    """A `LocalLM` of some 50,000 random weights: it knows nothing, in a second, and always the same."""
    tokenizer = tiny_tokenizer(family)
    sizes = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    # Weights ten times as large as usual: a model in which every token tells.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any
        if architecture == "llama":
            model = LlamaForCausalLM(
                LlamaConfig(
                    **sizes,
                    hidden_size=hidden_size,
                    intermediate_size=2 * hidden_size,
                    num_hidden_layers=layers,
                    num_attention_heads=4,
                    num_key_value_heads=2,
                    max_position_embeddings=CONTEXT,
                    initializer_range=0.2,
                    tie_word_embeddings=True,
                    pad_token_id=tokenizer.pad_token_id,
                )
            )
        else:
            model = GPT2LMHeadModel(
                GPT2Config(
                    **sizes, n_embd=hidden_size, n_layer=layers, n_head=4, n_positions=CONTEXT, initializer_range=0.2
                )
            )
    fused.install(model)
    made = f"{family} {architecture} {hidden_size} {layers} {seed}"
    fingerprint = hashlib.sha256(made.encode()).hexdigest()
    return LocalLM(model.to(dtype), tokenizer, name=f"tiny {family} {architecture}", fingerprint=fingerprint)


def tiny_tokenizer(family: Family) -> Any:
    """A tokenizer of that family trained on `TEXTS`, with a chat template's special tokens."""
    if family == "byte-bpe":
        core, special = Tokenizer(models.BPE()), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        core.train_from_iterator(TEXTS, _bpe(special, alphabet))
        return PreTrainedTokenizerFast(
            tokenizer_object=core, **_named(bos="<|im_start|>", eos="<|im_end|>", pad="<|im_end|>")
        )
    special = ["<unk>", "<s>", "</s>"]
    if family == "bpe":
        core = Tokenizer(models.BPE(**_named(unk="<unk>"), byte_fallback=True, fuse_unk=True))
        core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        core.decoder = decoders.Sequence(parts)
        core.train_from_iterator(TEXTS, _bpe([*special, *(f"<0x{byte:02X}>" for byte in range(256))], []))
        plan = json.loads(core.to_str())  # bytes are part of the vocabulary, but no special tokens
        plan["added_tokens"] = [token for token in plan["added_tokens"] if token["content"] in special]
        core = Tokenizer.from_str(json.dumps(plan))
    else:
        core = Tokenizer(models.Unigram())
        core.normalizer = normalizers.NFKC()
        core.pre_tokenizer, core.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        core.train_from_iterator(
            TEXTS,
            trainers.UnigramTrainer(vocab_size=200, special_tokens=special, **_named(unk="<unk>"), show_progress=False),
        )
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", core.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, **_named(unk="<unk>", bos="<s>", eos="</s>", pad="</s>"))


def _bpe(special: list[str], alphabet: list[str]) -> trainers.BpeTrainer:
    return trainers.BpeTrainer(
        vocab_size=400 + len(special), special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )


def _named(**tokens: str) -> dict[str, Any]:
    return {f"{name}_token": token for name, token in tokens.items()}
