"""Prompt -> token ids and slot positions, with any tokenizer; foreign text never becomes a special token."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tastemaker.prompts.prompt import Part, Prompt, Slot

MARKS = "\ue000|~_\nx0"
"""What a text may be put behind to see how it reads inside another one: first of all a character no text contains."""
CACHED_TEXTS = 1 << 17


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids, with a placeholder id at the position of each slot."""

    ids: list[int]
    slots: list[tuple[int, Slot]]
    """(position, slot), positions ascending."""

    def __len__(self) -> int:
        return len(self.ids)

    def __add__(self, other: Encoded) -> Encoded:
        return Encoded(self.ids + other.ids, self.slots + [(p + len(self), slot) for p, slot in other.slots])


class Encoder:
    """What tokenises prompts part by part; each text is tokenised once and remembered.

    Our wording may hold special tokens (``<|im_start|>``). `Item` and `Quoted` never yield one, however they are
    spelled. A space that ends our wording is tokenised with the foreign text after it, as models have learned to
    read: `` Heat`` is one token where a space and ``Heat`` are two. So end no prompt with a space; begin its
    continuations with one.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._lock = threading.Lock()
        self._tokens = lru_cache(CACHED_TEXTS)(self._tokenise)
        self._added: dict[int, str] = {i: str(t) for i, t in tokenizer.added_tokens_decoder.items()}
        self._special = {*tokenizer.all_special_ids}
        structural = {i for name in ("bos", "eos", "pad", "sep", "cls") if (i := _id(tokenizer, name)) is not None}
        self.unknown = {_id(tokenizer, "unk")} - structural
        """The token for what is not in the vocabulary, if that is all it stands for."""
        self._forbidden = ({*self._added} | self._special) - self.unknown
        bare, whole = self._raw("a", trusted=True), tokenizer("a").input_ids
        self.opening: list[int] = next((whole[:i] for i in range(len(whole)) if whole[i : i + len(bare)] == bare), [])
        """What the tokenizer puts before every text of its own accord, such as a beginning-of-text token."""
        self.placeholder = next((i for i in (_id(tokenizer, "pad"), _id(tokenizer, "eos")) if i is not None), 0)
        marks = {mark: self._raw(mark, trusted=True) for mark in MARKS}
        # Unknown characters side by side become one token, so an unknown mark would swallow what follows it.
        self._marks = {mark: ids for mark, ids in marks.items() if self.unknown.isdisjoint(ids)}
        self._adds_space = tokenizer.convert_ids_to_tokens(bare)[0][:1] in ("▁", "Ġ")

    def __call__(self, prompt: Prompt, *, start: bool = True) -> Encoded:
        """The prompt's ids; ``start=False`` for text that goes on where another stopped."""
        ids = list(self.opening) if start else []
        slots: list[tuple[int, Slot]] = []
        inside = not start
        for piece in _pieces(prompt.parts):
            if isinstance(piece, tuple):
                text, trusted = piece
                ids += self._tokens(text, trusted=trusted, inside=inside)
            else:
                slots.append((len(ids), piece))
                ids.append(self.placeholder)
            inside = True
        return Encoded(ids, slots)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def decode_all(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens included."""
        text: str = self.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        return text

    def _tokenise(self, text: str, *, trusted: bool, inside: bool) -> tuple[int, ...]:
        ids = self._ids(text, trusted=trusted, inside=inside)
        if trusted or self._forbidden.isdisjoint(ids):
            return tuple(ids)
        # A vocabulary can spell a special token without meaning one (Unigram lists "</s>" among its pieces), and
        # added tokens that are not called special are found in any text: cut the spelling apart.
        spellings = sorted(filter(None, {*self._added.values(), *self._spellings()}), key=len, reverse=True)
        pieces = re.split("|".join(f"(?<={re.escape(s[0])})(?={re.escape(s[1:])})" for s in spellings), text)
        ids = [i for n, piece in enumerate(pieces) for i in self._ids(piece, trusted=False, inside=inside or n > 0)]
        if self._forbidden.isdisjoint(ids):
            return tuple(ids)
        ids = [i for n, c in enumerate(text) for i in self._ids(c, trusted=False, inside=inside or n > 0)]
        return tuple(i for i in ids if i not in self._special - self.unknown)

    def _spellings(self) -> list[str]:
        return [str(token) for token in self.tokenizer.convert_ids_to_tokens(sorted(self._special))]

    def _ids(self, text: str, *, trusted: bool, inside: bool) -> list[int]:
        """Ids of a text as it reads inside another one: without the space some tokenizers put before every text."""
        for mark, before in self._marks.items() if inside and self._adds_space else ():
            ids = self._raw(mark + text, trusted=trusted)
            if ids[: len(before)] == before:
                return ids[len(before) :]
        return self._raw(text, trusted=trusted)

    def _raw(self, text: str, *, trusted: bool) -> list[int]:
        with self._lock:  # whether special tokens are read is a state of the tokenizer, not of the call
            ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=not trusted).input_ids
        return ids


def _pieces(parts: Sequence[Part]) -> list[Slot | tuple[str, bool]]:
    """Slots, and texts with whether they are trusted; a space before foreign text goes over to it."""
    pieces: list[Slot | tuple[str, bool]] = []
    for part in parts:
        before = pieces[-1] if pieces else None
        if isinstance(part, Slot):
            pieces.append(part)
        elif isinstance(part, str):
            pieces.append((part, True))
        elif part.text and isinstance(before, tuple) and before[1] and before[0].endswith(" "):
            pieces[-1:] = [(before[0][:-1], True), (f" {part.text}", False)]
        else:
            pieces.append((part.text, False))
    return [piece for piece in pieces if not isinstance(piece, tuple) or piece[0]]


def _id(tokenizer: Any, name: str) -> int | None:
    found: int | None = getattr(tokenizer, f"{name}_token_id", None)
    return found
