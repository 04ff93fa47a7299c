"""Encoded prompts and continuations -> log-probabilities and hidden states, each prompt read once for all of them.

What all prompts begin with is read once for all of them; each prompt once for all its continuations; these then lie
side by side in rows of their own, each seeing its prompt (by the keys and values kept of it) and itself but not the
others, and counted from where the prompt ends. Everything here carries gradients unless they are switched off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache

from tastemaker.errors import PromptError
from tastemaker.llm.attention import additive
from tastemaker.llm.encoding import Encoded

if TYPE_CHECKING:
    from tastemaker.llm.local import LocalLM

Side = Literal["left", "right"]
Reads = Sequence[Sequence[Sequence[int]]]
"""For each prompt and each of its branches: after how many positions of the branch a state is wanted, 0 for none."""
BUDGET = {"cpu": 2048}
"""Positions in one forward pass, padding included, by device; elsewhere `BUDGET_ELSEWHERE`."""
BUDGET_ELSEWHERE = 16_384
ROW = 128
"""A row holds branches up to this many positions, or one that is longer: every one of them is looked at by all."""
HEAD = 16
"""A common beginning of the prompts is worth a pass of its own from so many positions."""
WORDS = 2048
"""Of the vocabulary, whose logits are held at once."""
NOTHING = Encoded([], [])


def log_probabilities(
    lm: LocalLM, prompts: Sequence[Encoded], branches: Sequence[Sequence[Encoded]], *, side: Side = "right"
) -> list[Tensor]:
    """For each prompt, the log-probability of each branch: fp32, natural, summed over its tokens but not its slots."""
    # A slot is read, never predicted; a token is predicted by the state after what comes before it.
    targets = [[_targets(branch) for branch in several] for several in branches]
    tokens = [
        branch.ids[t] for i, several in enumerate(branches) for j, branch in enumerate(several) for t in targets[i][j]
    ]
    first = _offsets(branches)
    to = [first[i] + j for i, several in enumerate(targets) for j, those in enumerate(several) for _ in those]
    total = torch.zeros(first[-1], device=lm.device)
    states = _states(lm, prompts, branches, targets, side)
    if tokens:
        total = total.index_add(0, torch.tensor(to, device=lm.device), _of_tokens(lm, states, tokens))
    return list(torch.split(total, [len(several) for several in branches]))


def branch_hidden(
    lm: LocalLM, prompts: Sequence[Encoded], branches: Sequence[Sequence[Encoded]], *, side: Side = "right"
) -> list[Tensor]:
    """For each prompt, the last hidden state at the end of each branch, [branch, hidden]; for an empty one, its own."""
    ends = [[[len(branch)] for branch in several] for several in branches]
    return list(torch.split(_states(lm, prompts, branches, ends, side), [len(several) for several in branches]))


def branch_logits(
    lm: LocalLM, prompts: Sequence[Encoded], branches: Sequence[Sequence[Encoded]], tokens: Sequence[int]
) -> list[Tensor]:
    """For each prompt, fp32 logits [branch, token] of the given ids right after each branch: two for yes and no."""
    ids = torch.tensor(tokens, dtype=torch.long, device=lm.device)
    return [lm.logits(states, ids) for states in branch_hidden(lm, prompts, branches)]


def next_logits(lm: LocalLM, prompts: Sequence[Encoded], tokens: Sequence[int]) -> Tensor:
    """fp32 logits [prompt, token] of the given ids as the next token; only their rows of the head are read."""
    found = branch_logits(lm, prompts, [[NOTHING]] * len(prompts), tokens)
    return torch.cat(found) if found else torch.zeros(0, len(tokens), device=lm.device)


def batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices in groups of like length, the longest first, each within the budget of positions once padded."""
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= budget:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def budget(lm: LocalLM) -> int:
    """Positions that go through the model at once on its device."""
    return BUDGET.get(lm.device.type, BUDGET_ELSEWHERE)


@dataclass(frozen=True, slots=True)
class _Row:
    """Some branches of one prompt, one after the other."""

    prompt: int
    encoded: Encoded
    places: dict[int, int]
    """Where each branch starts."""
    positions: list[int]
    owners: list[int]
    """Per position: which branch it is of."""


class _Found:
    """Hidden states as they come, put into the order they were asked for."""

    def __init__(self, lm: LocalLM, reads: Reads) -> None:
        self._lm, self._reads = lm, reads
        self._first = _offsets([[n for those in several for n in those] for several in reads])
        self._states: list[Tensor] = []
        self._order: list[int] = []

    def take(self, hidden: Tensor, at: Sequence[tuple[int, int, int]]) -> None:
        """``(row, position, number)``: the state at a position of ``hidden`` is the one of that number."""
        if at:
            rows, positions, numbers = zip(*at, strict=True)
            self._states.append(hidden[torch.tensor(rows), torch.tensor(positions)])
            self._order += numbers

    def wanted(self, prompt: int, branch: int) -> Iterator[tuple[int, int]]:
        """``(after how many positions, number)`` of each state wanted of a branch."""
        before = sum(map(len, self._reads[prompt][:branch]))
        for k, n in enumerate(self._reads[prompt][branch]):
            yield n, self._first[prompt] + before + k

    def all(self) -> Tensor:
        """``[read, hidden]``."""
        if not self._states:
            return torch.zeros(0, self._lm.hidden_size, dtype=self._lm.dtype, device=self._lm.device)
        return torch.cat(self._states)[torch.tensor(self._order, device=self._lm.device).argsort()]


def _states(
    lm: LocalLM, prompts: Sequence[Encoded], branches: Sequence[Sequence[Encoded]], reads: Reads, side: Side
) -> Tensor:
    """``[read, hidden]`` in the order of ``reads``."""
    found = _Found(lm, reads)
    fed = [
        [_cut(branch, max(those, default=0)) for branch, those in zip(*both, strict=True)]
        for both in zip(branches, reads, strict=True)
    ]
    asked = [i for i, (_, several) in enumerate(zip(prompts, reads, strict=True)) if any(several)]
    if any(not len(prompts[i]) for i in asked):
        raise PromptError("an empty prompt predicts nothing; begin it with some text")
    apart = [i for i in asked if _kept_apart(lm, prompts[i], fed[i])]
    _read_whole(lm, prompts, fed, [i for i in asked if i not in {*apart}], found, side)
    head = _common([prompts[i] for i in apart])
    for group in batches([len(prompts[i]) for i in apart], budget(lm)):
        _read_apart(lm, prompts, fed, [apart[i] for i in group], head, found, side)
    return found.all()


def _kept_apart(lm: LocalLM, prompt: Encoded, fed: Sequence[Encoded]) -> bool:
    """Whether branches are read in rows of their own: there are several, and the model can keep them apart."""
    config = lm.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if not lm.branches or not kinds <= {"full_attention", "sliding_attention"} or sum(map(bool, map(len, fed))) < 2:
        return False
    windowed = "sliding_attention" in kinds or getattr(config, "layer_types", None) is None
    window = getattr(config, "sliding_window", None) if windowed else None
    return window is None or len(prompt) + max(map(len, fed)) <= window


def _read_whole(
    lm: LocalLM,
    prompts: Sequence[Encoded],
    fed: Sequence[Sequence[Encoded]],
    chosen: Sequence[int],
    found: _Found,
    side: Side,
) -> None:
    """Each branch behind its prompt in one row; those of which nothing is read share the row of the first."""
    rows: list[tuple[int, list[int], Encoded]] = []
    for i in chosen:
        long = [j for j, branch in enumerate(fed[i]) if len(branch)]
        empty = [j for j, branch in enumerate(fed[i]) if not len(branch)]
        several = [[j] for j in long] or [[]]
        several[0] += empty
        rows += [(i, those, prompts[i] + (fed[i][those[0]] if long else NOTHING)) for those in several]
    for group in batches([len(row) for _, _, row in rows], budget(lm)):
        hidden = lm.hidden([rows[r][2] for r in group], side=side)
        at = []
        for place, r in enumerate(group):
            i, those, row = rows[r]
            start = (hidden.shape[1] - len(row) if side == "left" else 0) + len(prompts[i]) - 1
            at += [(place, start + n, number) for j in those for n, number in found.wanted(i, j)]
        found.take(hidden, at)


def _read_apart(
    lm: LocalLM,
    prompts: Sequence[Encoded],
    fed: Sequence[Sequence[Encoded]],
    chosen: Sequence[int],
    head: Encoded,
    found: _Found,
    side: Side,
) -> None:
    """The prompts, and then their branches, which see what was kept of them."""
    cache, seen, hidden, starts = _read_prompts(lm, [prompts[i] for i in chosen], head, side)
    at = []
    for place, i in enumerate(chosen):
        end = starts[place] + len(prompts[i]) - len(head) - 1
        at += [(place, end, number) for j in range(len(fed[i])) for n, number in found.wanted(i, j) if n == 0]
    found.take(hidden, at)
    rows = [row for place, i in enumerate(chosen) for row in _rows(place, len(prompts[i]), fed[i])]
    for group in batches([len(row.encoded) for row in rows], budget(lm)):
        together = [rows[r] for r in group]
        hidden = _hidden(lm, together, cache, seen)
        at = [
            (r, start + n - 1, number)
            for r, row in enumerate(together)
            for j, start in row.places.items()
            for n, number in found.wanted(chosen[row.prompt], j)
            if n
        ]
        found.take(hidden, at)


def _read_prompts(
    lm: LocalLM, prompts: Sequence[Encoded], head: Encoded, side: Side
) -> tuple[DynamicCache, Tensor, Tensor, list[int]]:
    """What is kept of them, which of its positions are theirs [prompt, key], the states after ``head``, its starts."""
    rest = [_after(prompt, len(head)) for prompt in prompts]
    inputs = lm.inputs(rest, side=side, positions=[range(len(head), len(prompt)) for prompt in prompts])
    width = inputs.mask.shape[1]
    starts = [width - len(one) if side == "left" else 0 for one in rest]
    if not len(head):
        cache = DynamicCache()
        hidden = lm.run(inputs, inputs.mask if side == "left" else None, cache)
        return cache, inputs.mask, hidden, starts
    cache = DynamicCache()
    lm.run(lm.inputs([head]), None, cache)
    cache = _of(cache, torch.zeros(len(prompts), dtype=torch.long, device=lm.device))
    seen = torch.cat([inputs.mask.new_ones(len(prompts), len(head)), inputs.mask], 1)
    earlier = torch.ones(width, len(head) + width, dtype=torch.bool, device=lm.device).tril(len(head))
    hidden = lm.run(inputs, additive((earlier & seen[:, None])[:, None], lm.dtype), cache)
    return cache, seen, hidden, starts


def _rows(place: int, prompt: int, fed: Sequence[Encoded]) -> Iterator[_Row]:
    row = _Row(place, NOTHING, {}, [], [])
    # Like lengths side by side, so that rows are full.
    for j in sorted((j for j, branch in enumerate(fed) if len(branch)), key=lambda j: -len(fed[j])):
        if row.places and len(row.encoded) + len(fed[j]) > ROW:
            yield row
            row = _Row(place, NOTHING, {}, [], [])
        size = len(fed[j])
        row = _Row(
            place,
            row.encoded + fed[j],
            {**row.places, j: len(row.encoded)},
            [*row.positions, *range(prompt, prompt + size)],
            row.owners + [j] * size,
        )
    if row.places:
        yield row


def _hidden(lm: LocalLM, rows: Sequence[_Row], cache: DynamicCache, seen: Tensor) -> Tensor:
    """The states of rows of branches, ``[row, position, hidden]``."""
    inputs = lm.inputs([row.encoded for row in rows], positions=[row.positions for row in rows])
    of = torch.tensor([row.prompt for row in rows], device=lm.device)
    owners = torch.full(inputs.mask.shape, -1, device=lm.device)
    owners[inputs.mask] = torch.tensor([owner for row in rows for owner in row.owners], device=lm.device)
    width = owners.shape[1]
    earlier = torch.ones(width, width, dtype=torch.bool, device=lm.device).tril()
    own = (owners[:, None, :] == owners[:, :, None]) & earlier
    visible = torch.cat([seen[of][:, None].expand(-1, width, -1), own], 2)
    return lm.run(inputs, additive(visible[:, None], lm.dtype), _of(cache, of))


def _of(cache: DynamicCache, rows: Tensor) -> DynamicCache:
    """What is kept of these rows."""
    return DynamicCache([(layer.keys[rows], layer.values[rows]) for layer in cache.layers])


def _common(prompts: Sequence[Encoded]) -> Encoded:
    """What all of several prompts begin with, if it is worth a pass of its own; never all of one, and no slot."""
    if len(prompts) < 2:
        return NOTHING
    first = prompts[0]
    end = min(len(prompt) for prompt in prompts) - 1
    end = min([end, *(prompt.slots[0][0] for prompt in prompts if prompt.slots)])
    for prompt in prompts[1:]:
        end = next((k for k in range(end) if prompt.ids[k] != first.ids[k]), end)
    return Encoded(first.ids[:end], []) if end >= HEAD else NOTHING


def _after(prompt: Encoded, start: int) -> Encoded:
    return Encoded(prompt.ids[start:], [(position - start, slot) for position, slot in prompt.slots])


def _cut(branch: Encoded, end: int) -> Encoded:
    return Encoded(branch.ids[:end], [(position, slot) for position, slot in branch.slots if position < end])


def _of_tokens(lm: LocalLM, hidden: Tensor, tokens: Sequence[int]) -> Tensor:
    """Log-probability of each token under the state before it, [token].

    The token's own logit is multiplied in fp32: in bf16 alone it would be off by up to a sixteenth. All others come a
    few thousand words at a time, while they are still in the processor's own memory.
    """
    head = lm.model.get_output_embeddings()
    ids = torch.tensor(tokens, device=hidden.device)
    own = (hidden.float() * head.weight[ids].float()).sum(-1)
    own = lm.shaped(own if head.bias is None else own + head.bias[ids].float())
    totals = []
    for start in range(0, head.weight.shape[0], WORDS):
        words = slice(start, start + WORDS)
        logits = functional.linear(hidden, head.weight[words], None if head.bias is None else head.bias[words])
        here = (ids >= start) & (ids < start + WORDS)
        wide = lm.shaped(logits.float())
        if here.any():
            rows = here.nonzero()[:, 0]
            wide.index_put_((rows, ids[rows] - start), own[rows])
        totals.append(wide.logsumexp(-1))
    return (own - torch.stack(totals).logsumexp(0)).clamp(max=0)


def _targets(branch: Encoded) -> list[int]:
    """The positions that hold tokens: a slot is read, never predicted."""
    slots = {position for position, _ in branch.slots}
    return [position for position in range(len(branch)) if position not in slots]


def _offsets(branches: Sequence[Sequence[object]]) -> list[int]:
    offsets = [0]
    for several in branches:
        offsets.append(offsets[-1] + len(several))
    return offsets
