"""Encoded prompts -> greedy text, free or bound to choices, token by token with a cache of keys and values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tastemaker.errors import PromptError
from tastemaker.llm.encoding import Encoded
from tastemaker.llm.scoring import batches, budget
from tastemaker.prompts.prompt import Prompt
from tastemaker.prompts.trie import Trie

if TYPE_CHECKING:
    from tastemaker.llm.local import LocalLM

Pick = Callable[[list[int], Tensor], list[int | None]]
"""(which prompts, their last hidden states [prompt, hidden]) -> the next token of each, None for one that is done."""


def write(lm: LocalLM, prompts: Sequence[Encoded], max_new_tokens: int, stop: str) -> list[str]:
    """The likeliest token at each step, until the text holds ``stop``, the model ends it or the length is reached."""
    ends = end_tokens(lm)
    written: list[list[int]] = [[] for _ in prompts]
    done = [False] * len(prompts)

    def pick(which: list[int], hidden: Tensor) -> list[int | None]:
        best = lm.logits(hidden).argmax(-1).tolist()
        for i, token in zip(which, best, strict=True):
            if not done[i] and token not in ends:
                written[i].append(token)
            done[i] = done[i] or token in ends or bool(stop and stop in lm.encode.decode(written[i]))
        return [None if done[i] else token for i, token in zip(which, best, strict=True)]

    _run(lm, prompts, pick, max_new_tokens)
    texts = [lm.encode.decode(ids) for ids in written]
    return [text.partition(stop)[0] if stop else text for text in texts]


def stream(lm: LocalLM, prompt: Encoded, max_new_tokens: int, stop: str) -> Iterator[str]:
    """What `write` would write, piece by piece: never half a character, nor what may yet turn out to be ``stop``."""
    ends, written, sent = end_tokens(lm), list[int](), 0
    for token in _greedy(lm, prompt, max_new_tokens):
        if token in ends:
            break
        written.append(token)
        text = lm.encode.decode(written)
        if stop and stop in text:
            break
        safe = len(text) - _unsure(text, stop)
        if safe > sent:
            yield text[sent:safe]
            sent = safe
    text = lm.encode.decode(written)
    if rest := (text.partition(stop)[0] if stop else text)[sent:]:
        yield rest


def choose(lm: LocalLM, prompts: Sequence[Encoded], choices: Sequence[Sequence[Prompt]], stop: str) -> list[str]:
    """One choice per prompt: the likeliest at each step of the tokens that can still become one, the end included."""
    tries = [_trie(lm, several, stop) for several in choices]
    written = [_forced(trie, []) for trie in tries]

    def pick(which: list[int], hidden: Tensor) -> list[int | None]:
        allowed = [tries[i].allowed(written[i]) for i in which]
        picked = _likeliest(lm, hidden, allowed)
        for i, token in zip(which, picked, strict=True):
            if token is not None:
                written[i] = _forced(tries[i], [*written[i], token])
        return [None if _ended(tries[i], written[i]) else token for i, token in zip(which, picked, strict=True)]

    open_ = [i for i, trie in enumerate(tries) if not _ended(trie, written[i])]
    longest = max((len(one) for several in choices for one in _spelled(lm, several, stop)), default=0)
    _run(lm, [prompts[i] for i in open_], lambda which, hidden: pick([open_[i] for i in which], hidden), longest)
    found = [trie.terminal(ids) for trie, ids in zip(tries, written, strict=True)]
    return [several[i or 0].text(slots="drop") for several, i in zip(choices, found, strict=True)]


def choose_lists(
    lm: LocalLM, prompts: Sequence[Encoded], choices: Sequence[Sequence[Prompt]], n: int, stop: str
) -> list[list[int]]:
    """For each prompt, ``n`` places of different choices, written one after the other in a single pass.

    Every token is the likeliest of those that can still become a choice that is not in the list yet.
    """
    spelled = [_spelled(lm, several, stop) for several in choices]
    lists: list[list[int]] = [[] for _ in prompts]
    written: list[list[int]] = [[] for _ in prompts]
    tries = [Trie(ids) for ids in spelled]

    def wanted(i: int) -> int:
        return min(n, len(choices[i]))

    def pick(which: list[int], hidden: Tensor) -> list[int | None]:
        allowed = [tries[i].allowed(written[i]) if len(lists[i]) < wanted(i) else [] for i in which]
        picked = _likeliest(lm, hidden, allowed)
        for i, token in zip(which, picked, strict=True):
            if token is not None:
                written[i].append(token)
                if (ended := tries[i].terminal(written[i])) is not None:
                    places = [place for place in range(len(spelled[i])) if place not in lists[i]]
                    lists[i].append(places[ended])
                    left = [spelled[i][place] for place in places if place != places[ended]]
                    tries[i], written[i] = Trie(left), []
        return [None if len(lists[i]) == wanted(i) else token for i, token in zip(which, picked, strict=True)]

    longest = max((wanted(i) * max(map(len, ids), default=0) for i, ids in enumerate(spelled)), default=0)
    open_ = [i for i in range(len(prompts)) if wanted(i)]
    _run(lm, [prompts[i] for i in open_], lambda which, hidden: pick([open_[i] for i in which], hidden), longest)
    return lists


def _likeliest(lm: LocalLM, hidden: Tensor, allowed: Sequence[Sequence[int]]) -> list[int | None]:
    """For each hidden state the likeliest of its own allowed tokens, None where there is none."""
    tokens = sorted({token for several in allowed for token in several})
    if not tokens:
        return [None] * len(allowed)
    logits = lm.logits(hidden, torch.tensor(tokens, device=hidden.device)).tolist()
    values = [dict(zip(tokens, row, strict=True)) for row in logits]
    return [max(several, key=value.__getitem__, default=None) for several, value in zip(allowed, values, strict=True)]


def end_tokens(lm: LocalLM) -> set[int]:
    """The tokens by which the model ends a text."""
    told = getattr(lm.model.generation_config, "eos_token_id", None)
    return {i for i in [lm.tokenizer.eos_token_id, *(told if isinstance(told, list) else [told])] if i is not None}


def _run(lm: LocalLM, prompts: Sequence[Encoded], pick: Pick, limit: int) -> None:
    for group in batches([len(prompt) + limit for prompt in prompts], budget(lm)):
        _run_group(lm, [prompts[i] for i in group], lambda hidden, group=group: pick(group, hidden), limit)  # type: ignore[misc]


def _run_group(lm: LocalLM, prompts: list[Encoded], pick: Callable[[Tensor], list[int | None]], limit: int) -> None:
    """Padding goes left, so that all rows end, and are written on, at the same place."""
    if min(map(len, prompts)) == 0:
        raise PromptError("an empty prompt cannot be written on; begin it with some text")
    inputs = lm.inputs(prompts, side="left")
    lm.require_room(inputs.mask.shape[1] + limit)
    embed, mask, positions = lm.model.get_input_embeddings(), inputs.mask, inputs.positions[:, -1:]
    out = lm.step(inputs.embeddings, mask, inputs.positions, use_cache=True)
    for step in range(limit):
        tokens = pick(out.last_hidden_state[:, -1])
        if step == limit - 1 or all(token is None for token in tokens):
            return
        ids = torch.tensor([[lm.encode.placeholder if t is None else t] for t in tokens], device=lm.device)
        mask, positions = torch.cat([mask, torch.ones_like(mask[:, :1])], 1), positions + 1
        out = lm.step(embed(ids), mask, positions, use_cache=True, past_key_values=out.past_key_values)


def _greedy(lm: LocalLM, prompt: Encoded, limit: int) -> Iterator[int]:
    """The likeliest next token, again and again. Between two of them the caller's gradients are on, as they were."""
    if not len(prompt):
        raise PromptError("an empty prompt cannot be written on; begin it with some text")
    lm.require_room(len(prompt) + limit)
    embed, past = lm.model.get_input_embeddings(), None
    with torch.no_grad():
        inputs = lm.inputs([prompt])
        embeddings, positions = inputs.embeddings, inputs.positions
    for _ in range(limit):
        with torch.no_grad():
            out = lm.step(embeddings, None, positions, use_cache=True, past_key_values=past)
            token = lm.logits(out.last_hidden_state[:, -1]).argmax(-1)
            past, positions, embeddings = out.past_key_values, positions[:, -1:] + 1, embed(token[:, None])
        yield int(token)


def _unsure(text: str, stop: str) -> int:
    """How many characters at the end could be half of one character, or the beginning of ``stop``."""
    halves = len(text) - len(text.rstrip("\ufffd"))
    begun = (n for n in range(min(len(stop), len(text)), 0, -1) if text.endswith(stop[:n]))
    return max(halves, next(begun, 0))


def _trie(lm: LocalLM, choices: Sequence[Prompt], stop: str) -> Trie:
    if not choices:
        raise PromptError("a prompt with an empty list of choices has no answer; give it one or more")
    return Trie(_spelled(lm, choices, stop))


def _spelled(lm: LocalLM, choices: Sequence[Prompt], stop: str) -> list[list[int]]:
    """The choices' tokens, each with an end that none of them contains: ``stop``, or else the model's own."""
    texts = [choice.without_slots() for choice in choices]
    end = lm.encode(Prompt.of(stop), start=False).ids if stop else []
    if not end or any(stop in text.text() for text in texts) or not lm.encode.unknown.isdisjoint(end):
        end = sorted(end_tokens(lm))[:1]
    if not end:
        raise PromptError(f"{lm.name} has no end-of-text token; give a stop that is in none of the choices")
    return [lm.encode(text, start=False).ids + end for text in texts]


def _forced(trie: Trie, ids: list[int]) -> list[int]:
    """The ids, completed if only one sequence can still come of them; the model need not be asked."""
    ahead = list(ids)
    while len(following := trie.allowed(ahead)) == 1:
        ahead += following
    return ahead if not following else ids


def _ended(trie: Trie, ids: list[int]) -> bool:
    return trie.terminal(ids) is not None
