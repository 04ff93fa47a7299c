"""Encoded prompts and continuations -> log-probabilities and hidden states, each prompt read once for all of them.

The continuations of a prompt follow it in one row, each seeing the prompt and itself but not the others, and each
counted from where the prompt ends. Everything here carries gradients unless they are switched off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from tastemaker.errors import PromptError
from tastemaker.llm.attention import additive
from tastemaker.llm.encoding import Encoded

if TYPE_CHECKING:
    from tastemaker.llm.local import LocalLM

Side = Literal["left", "right"]
BUDGET = {"cpu": 4096}
"""Positions in one forward pass, padding included, by device; elsewhere `BUDGET_ELSEWHERE`."""
BUDGET_ELSEWHERE = 16_384
ROW = 1024
"""A row holds branches up to this many positions, or as many as its prompt has; the rest get rows of their own."""
MAX_LOGITS = 1 << 26
"""Logits held at once."""


def log_probabilities(
    lm: LocalLM, prompts: Sequence[Encoded], branches: Sequence[Sequence[Encoded]], *, side: Side = "right"
) -> list[Tensor]:
    """For each prompt, the log-probability of each branch: fp32, natural, summed over its tokens but not its slots."""
    targets = [[_targets(branch) for branch in several] for several in branches]
    fed = [[_before_last(*both) for both in zip(*lists, strict=True)] for lists in zip(branches, targets, strict=True)]
    first = _offsets(branches)
    found: list[Tensor] = []
    to: list[int] = []
    for rows, hidden in _passes(lm, prompts, fed, side):
        at: list[tuple[int, int]] = []
        tokens: list[int] = []
        for r, row in enumerate(rows):
            for branch, start in row.starts:  # a branch's first token is predicted at the end of the prompt
                for position in targets[row.prompt][branch]:
                    at.append((r, row.prefix - 1 if position == 0 else start + position - 1))
                    tokens.append(branches[row.prompt][branch].ids[position])
                    to.append(first[row.prompt] + branch)
        if at:
            found.append(_of_tokens(lm, _taken(hidden, rows, at, side), tokens))
    total = torch.zeros(first[-1], device=lm.device)
    if found:
        total = total.index_add(0, torch.tensor(to, device=lm.device), torch.cat(found))
    return list(torch.split(total, [len(several) for several in branches]))


def branch_hidden(
    lm: LocalLM, prompts: Sequence[Encoded], branches: Sequence[Sequence[Encoded]], *, side: Side = "right"
) -> list[Tensor]:
    """For each prompt, the last hidden state at the end of each branch, [branch, hidden]; for an empty one, its own."""
    first = _offsets(branches)
    found: list[Tensor] = []
    order: list[int] = []
    for rows, hidden in _passes(lm, prompts, branches, side):
        at = []
        for r, row in enumerate(rows):
            for branch, start in row.starts:
                length = len(branches[row.prompt][branch])
                at.append((r, start + length - 1 if length else row.prefix - 1))
                order.append(first[row.prompt] + branch)
        found.append(_taken(hidden, rows, at, side))
    if not found:
        return [torch.zeros(0, lm.hidden_size, dtype=lm.dtype, device=lm.device) for _ in prompts]
    back = torch.tensor(order, device=lm.device).argsort()
    return list(torch.split(torch.cat(found)[back], [len(several) for several in branches]))


def next_logits(lm: LocalLM, prompts: Sequence[Encoded], tokens: Sequence[int]) -> Tensor:
    """fp32 logits [prompt, token] of the given ids as the next token; only their rows of the head are read."""
    states = branch_hidden(lm, prompts, [[NOTHING]] * len(prompts))
    ids = torch.tensor(tokens, dtype=torch.long, device=lm.device)
    return lm.logits(torch.cat(states), ids) if states else torch.zeros(0, len(tokens), device=lm.device)


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


NOTHING = Encoded([], [])


@dataclass(frozen=True, slots=True)
class _Row:
    """A prompt and some of its branches, one after the other."""

    prompt: int
    encoded: Encoded
    prefix: int
    """Length of the prompt."""
    starts: list[tuple[int, int]]
    """(branch, where it starts), also of empty branches."""
    positions: list[int]
    owners: list[int]
    """Per position: 0 for the prompt, a number of its own for each branch."""


def _passes(
    lm: LocalLM, prompts: Sequence[Encoded], branches: Sequence[Sequence[Encoded]], side: Side
) -> Iterator[tuple[list[_Row], Tensor]]:
    """Rows with their hidden states [row, position, hidden], as many at a time as the budget allows."""
    rows: list[_Row] = []
    for i, (prompt, several) in enumerate(zip(prompts, branches, strict=True)):
        if several and not len(prompt):
            raise PromptError("an empty prompt predicts nothing; begin it with some text")
        rows += _rows(lm, i, prompt, several)
    for group in batches([len(row.encoded) for row in rows], budget(lm)):
        together = [rows[i] for i in group]
        yield together, _hidden(lm, together, side)


def _rows(lm: LocalLM, index: int, prompt: Encoded, branches: Sequence[Encoded]) -> Iterator[_Row]:
    room = _branch_room(lm, len(prompt))
    start = 0
    while start < len(branches):
        end, used = start + 1, len(branches[start])
        while end < len(branches) and used + len(branches[end]) <= room:
            used += len(branches[end])
            end += 1
        yield _row(index, prompt, range(start, end), branches)
        start = end


def _row(index: int, prompt: Encoded, chosen: range, branches: Sequence[Encoded]) -> _Row:
    encoded, starts = prompt, []
    positions, owners = list(range(len(prompt))), [0] * len(prompt)
    for owner, branch in enumerate(chosen, 1):
        starts.append((branch, len(encoded)))
        encoded = encoded + branches[branch]
        positions += range(len(prompt), len(prompt) + len(branches[branch]))
        owners += [owner] * len(branches[branch])
    return _Row(index, encoded, len(prompt), starts, positions, owners)


def _branch_room(lm: LocalLM, prompt: int) -> int:
    """How many positions of branches may follow a prompt in one row: none, where the model cannot keep them apart."""
    config = lm.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if not lm.branches or not kinds <= {"full_attention", "sliding_attention"}:
        return 0
    windowed = "sliding_attention" in kinds or getattr(config, "layer_types", None) is None
    window = getattr(config, "sliding_window", None) if windowed else None
    room = max(ROW - prompt, prompt)
    return room if window is None else min(room, window - prompt)


def _hidden(lm: LocalLM, rows: Sequence[_Row], side: Side) -> Tensor:
    inputs = lm.inputs([row.encoded for row in rows], side=side, positions=[row.positions for row in rows])
    if max(row.owners[-1] for row in rows) <= 1:
        return lm.run(inputs, None if side == "right" else inputs.mask)
    owners = torch.full(inputs.mask.shape, -1, device=lm.device)
    owners[inputs.mask] = torch.tensor([owner for row in rows for owner in row.owners], device=lm.device)
    width = owners.shape[1]
    earlier = torch.ones(width, width, dtype=torch.bool, device=lm.device).tril()
    visible = (owners[:, None, :] == 0) | (owners[:, None, :] == owners[:, :, None])
    return lm.run(inputs, additive((visible & earlier)[:, None], lm.dtype))


def _taken(hidden: Tensor, rows: Sequence[_Row], at: Sequence[tuple[int, int]], side: Side) -> Tensor:
    width = hidden.shape[1]
    shifts = [width - len(row.encoded) if side == "left" else 0 for row in rows]
    r = torch.tensor([row for row, _ in at], device=hidden.device)
    p = torch.tensor([shifts[row] + position for row, position in at], device=hidden.device)
    return hidden[r, p]


def _of_tokens(lm: LocalLM, hidden: Tensor, tokens: Sequence[int]) -> Tensor:
    """Log-probability of each token under the state before it, [token].

    The token's own logit is multiplied in fp32: in bf16 alone it would be off by up to a sixteenth.
    """
    head = lm.model.get_output_embeddings()
    ids = torch.tensor(tokens, device=hidden.device)
    found, size = [], max(1, MAX_LOGITS // head.weight.shape[0])
    for states, chosen in zip(torch.split(hidden, size), torch.split(ids, size), strict=True):
        own = (states.float() * head.weight[chosen].float()).sum(-1)
        own = lm.shaped(own if head.bias is None else own + head.bias[chosen].float())
        logits = lm.logits(states).scatter(1, chosen[:, None], own[:, None])
        found.append((own - logits.logsumexp(-1)).clamp(max=0))
    return torch.cat(found)


def _targets(branch: Encoded) -> list[int]:
    """The positions that hold tokens: a slot is read, never predicted."""
    slots = {position for position, _ in branch.slots}
    return [position for position in range(len(branch)) if position not in slots]


def _before_last(branch: Encoded, targets: Sequence[int]) -> Encoded:
    """What must be read of a branch to predict its last target."""
    end = targets[-1] if targets else 0
    return Encoded(branch.ids[:end], [(position, slot) for position, slot in branch.slots if position < end])


def _offsets(branches: Sequence[Sequence[Encoded]]) -> list[int]:
    offsets = [0]
    for several in branches:
        offsets.append(offsets[-1] + len(several))
    return offsets
