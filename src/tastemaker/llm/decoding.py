"""Encoded prompts -> greedy text, free or bound to choices, token by token with a cache of keys and values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def choose(lm: LocalLM, prompts: Sequence[Encoded], choices: Sequence[Sequence[Prompt]], stop: str) -> list[str]:
    """One choice per prompt: the likeliest at each step of the tokens that can still become one, the end included."""
    tries = [_trie(lm, several, stop) for several in choices]
    written = [_forced(trie, []) for trie in tries]

    def pick(which: list[int], hidden: Tensor) -> list[int | None]:
        allowed = [tries[i].allowed(written[i]) for i in which]
        tokens = sorted({token for several in allowed for token in several})
        if not tokens:
            return [None] * len(which)
        logits = lm.logits(hidden, torch.tensor(tokens, device=hidden.device)).tolist()
        picked: list[int | None] = []
        for i, several, row in zip(which, allowed, logits, strict=True):
            value = dict(zip(tokens, row, strict=True))
            token = max(several, key=value.__getitem__, default=None)
            picked.append(token)
            if token is not None:
                written[i] = _forced(tries[i], [*written[i], token])
        return [None if _ended(tries[i], written[i]) else token for i, token in zip(which, picked, strict=True)]

    open_ = [i for i, trie in enumerate(tries) if not _ended(trie, written[i])]
    longest = max((len(one) for several in choices for one in _spelled(lm, several, stop)), default=0)
    _run(lm, [prompts[i] for i in open_], lambda which, hidden: pick([open_[i] for i in which], hidden), longest)
    found = [trie.terminal(ids) for trie, ids in zip(tries, written, strict=True)]
    return [several[i or 0].text(slots="drop") for several, i in zip(choices, found, strict=True)]


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
