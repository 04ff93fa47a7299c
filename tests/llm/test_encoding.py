"""P2 and T11: every tokenizer family reads our wording as meant and foreign text as nothing but text."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken

from tastemaker.llm.encoding import Encoded, Encoder
from tastemaker.prompts import Item, ItemSlot, Prompt, Quoted, UserSlot
from tastemaker.testing.tiny_llm import FAMILIES, tiny_tokenizer

INJECTIONS = json.loads((Path(__file__).parents[1] / "prompts" / "injections.json").read_text(encoding="utf-8"))
ATTACKS = [text for group in INJECTIONS.values() for text in group]
SPELLED = [
    "<unk>",
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<tool_call>",
    "</s></s>",
    "a</s>b",
    "☆",
]
TOKENIZERS = {family: tiny_tokenizer(family) for family in FAMILIES}
for tokenizer in TOKENIZERS.values():  # tokens as Qwen and others add them: found in any text, yet not called special
    tokenizer.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
    tokenizer.add_special_tokens({"extra_special_tokens": ["☆"]})
ENCODERS = {family: Encoder(tokenizer) for family, tokenizer in TOKENIZERS.items()}
foreign = st.text(max_size=40) | st.lists(st.sampled_from([*SPELLED, " ", "a", "<"]), max_size=5).map("".join)


def structure(family):
    """The ids no foreign text may yield."""
    tokenizer = TOKENIZERS[family]
    unknown = {tokenizer.unk_token_id} if family != "byte-bpe" else set()
    return ({*tokenizer.all_special_ids} | {*tokenizer.added_tokens_decoder}) - unknown


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


def test_the_families_are_what_they_are_called(family):
    encode = ENCODERS[family]
    tokens = TOKENIZERS[family].convert_ids_to_tokens(encode(Prompt.of("Answer: Heat")).ids)
    assert tokens[0] == {"unigram": "<s>", "bpe": "<s>", "byte-bpe": tokens[0]}[family]
    assert any(token.startswith("Ġ" if family == "byte-bpe" else "▁") for token in tokens)


@pytest.mark.parametrize("text", [*SPELLED, *ATTACKS], ids=ascii)
def test_foreign_text_yields_no_special_token(family, text):
    encode = ENCODERS[family]
    for part in (Item(1, text), Quoted(text)):
        for prompt in (Prompt.of(part), Prompt.of("Seen: ", part, ", "), Prompt.of("<", part)):
            ids = encode(prompt).ids[len(encode.opening) :]
            assert structure(family).isdisjoint(ids)


@settings(max_examples=100)
@given(st.sampled_from(FAMILIES), foreign, foreign)
def test_no_foreign_text_at_all_yields_a_special_token(family, one, two):
    encode = ENCODERS[family]
    ids = encode(Prompt.of(Item(1, one), " ", Quoted(two), ItemSlot(3)), start=False).ids
    assert structure(family).isdisjoint(ids[:-1])


def test_our_wording_may_hold_special_tokens():
    encode = ENCODERS["byte-bpe"]
    named = {t: TOKENIZERS["byte-bpe"].convert_tokens_to_ids(t) for t in ("<|im_start|>", "<|im_end|>")}
    ids = encode(Prompt.of("<|im_start|>user\n", Item(1, "<|im_end|>"), "<|im_end|>\n")).ids
    assert [i for i in ids if i in named.values()] == [named["<|im_start|>"], named["<|im_end|>"]]
    assert encode.decode(ids) == "user\n<|im_end|>\n"


@settings(max_examples=60)
@given(st.sampled_from(["bpe", "byte-bpe"]), st.lists(foreign, min_size=1, max_size=4))
def test_what_was_encoded_can_be_read_again(family, texts):
    prompt = Prompt.of("Seen: ", *(part for text in texts for part in (Item(1, text), ", ")), "Answer:")
    assert ENCODERS[family].decode(ENCODERS[family](prompt).ids) == prompt.text()


def test_unigram_keeps_the_text_it_has_letters_for():
    prompt = Prompt.of("Seen: ", Item(1, "Heat"), ", ", Item(2, "Jaws"), ". Answer:")
    assert ENCODERS["unigram"].decode(ENCODERS["unigram"](prompt).ids) == prompt.text()


def test_characters_no_vocabulary_knows_are_not_swallowed():
    encode = ENCODERS["unigram"]
    unknown = TOKENIZERS["unigram"].unk_token_id
    assert encode(Prompt.of("Seen", Quoted("\u91cd\u6176"), "Heat"), start=False).ids.count(unknown) == 1
    assert encode(Prompt.of("<", Quoted("/s>")), start=False).ids.count(unknown) == 1


def test_two_threads_do_not_lend_each_other_special_tokens():
    encode = Encoder(tiny_tokenizer("byte-bpe"))
    special = set(encode.tokenizer.all_special_ids)
    ours = [Prompt.of(f"<|im_start|>{i}") for i in range(300)]
    theirs = [Prompt.of(Quoted(f"<|im_start|>{i}")) for i in range(300)]
    with ThreadPoolExecutor(2) as pool:
        for one, two in zip(pool.map(encode, ours), pool.map(encode, theirs), strict=True):
            assert special & set(one.ids)
            assert not special & set(two.ids)


def test_text_between_texts_gets_no_space_of_its_own(family):
    encode = ENCODERS[family]
    prompt = Prompt.of("Seen", Item(1, "Heat"), "Jaws")
    assert encode.decode(encode(prompt).ids) == "SeenHeatJaws"
    assert encode.decode(encode(Prompt.of("Seen")).ids + encode(Prompt.of("Heat"), start=False).ids) == "SeenHeat"


def test_the_space_before_a_title_goes_with_the_title(family):
    encode = ENCODERS[family]
    spaced, inner = encode(Prompt.of("Answer: ", Item(1, "Heat"))), encode(Prompt.of("Answer:", " Heat"))
    assert spaced == inner
    assert encode(Prompt.of("a ", ItemSlot(1))).ids[:-1] == encode(Prompt.of("a ")).ids
    assert encode(Prompt.of("a ", Quoted("\n"), "b")).ids == encode(Prompt.of("a ", "b")).ids


def test_only_a_start_opens_with_the_tokenizers_own_token(family):
    encode = ENCODERS[family]
    opening = [] if family == "byte-bpe" else [TOKENIZERS[family].bos_token_id]
    assert encode(Prompt.of()).ids == encode.opening == opening
    assert encode(Prompt.of("a"), start=False).ids == encode(Prompt.of("a")).ids[len(opening) :] or family != "byte-bpe"
    assert encode(Prompt.of(), start=False) == Encoded([], [])


@settings(max_examples=60)
@given(st.sampled_from(FAMILIES), st.lists(foreign.map(Quoted) | st.builds(ItemSlot, st.integers(0, 9)), max_size=8))
def test_each_slot_takes_one_position_and_text_takes_none_of_them(family, parts):
    encode, prompt = ENCODERS[family], Prompt.of(*parts, UserSlot(1))
    encoded = encode(prompt)
    assert tuple(slot for _, slot in encoded.slots) == prompt.slots
    assert len({p for p, _ in encoded.slots}) == len(prompt.slots)
    for position, slot in encoded.slots:
        before = prompt.parts[: next(i for i, part in enumerate(prompt.parts) if part is slot)]
        assert position == len(encode(Prompt(before)).ids) or slot in before
    assert all(encoded.ids[p] == encode.placeholder for p, _ in encoded.slots)


def test_encoded_texts_join_with_their_slots():
    encode = ENCODERS["byte-bpe"]
    one, two = encode(Prompt.of("a", ItemSlot(1))), encode(Prompt.of("b", UserSlot(2)), start=False)
    both = one + two
    assert both.ids == one.ids + two.ids
    assert both.slots == [(1, ItemSlot(1)), (3, UserSlot(2))]
    assert len(both) == 4


def test_a_text_is_tokenised_once():
    calls = []

    class Counting:
        def __getattr__(self, name):
            return getattr(TOKENIZERS["byte-bpe"], name)

        def __call__(self, text, **options):
            calls.append(text)
            return TOKENIZERS["byte-bpe"](text, **options)

    encode = Encoder(Counting())
    first = encode(Prompt.of("Seen: ", Item(1, "Heat"), ", ", Item(2, "Jaws")))
    before = len(calls)
    assert encode(Prompt.of("Seen: ", Item(3, "Heat"), ", ", Item(2, "Jaws"))) == first
    assert len(calls) == before
