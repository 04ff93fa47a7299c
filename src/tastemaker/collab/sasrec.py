"""Self-attention over the history (SASRec, Kang and McAuley 2018) -> scores of the next item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.collab._losses import dropout
from tastemaker.collab._sequence import Body, SequenceConfig, SequenceModel
from tastemaker.collab.base import CollabConfig


class SASRecConfig(SequenceConfig):
    """How the history is read."""

    published: ClassVar[Mapping[str, Any]] = {**SequenceConfig.published, "n_layers": 1, "n_heads": 1}

    epochs: int = Field(16, ge=1)
    n_layers: int = Field(1, ge=1)
    n_heads: int = Field(2, ge=1)

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.embedding_size % self.n_heads:
            raise ValueError(f"embedding_size={self.embedding_size} must be a multiple of n_heads={self.n_heads}")
        return self


class SASRec(SequenceModel):
    """A causal transformer whose attention knows how far back an item lies, not at which place of the window."""

    Config: ClassVar[type[CollabConfig]] = SASRecConfig
    config: SASRecConfig

    def _body(self) -> Body:
        return _Transformer(self.config)


class _Transformer(Body):
    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(config.embedding_size)

    def forward(self, hidden: Tensor) -> Tensor:
        for block in self.blocks:
            hidden = block(hidden)
        return cast(Tensor, self.norm(hidden))

    def at(self, hidden: Tensor, last: Tensor) -> Tensor:
        """The same, the final block working out one place of each history alone."""
        *lower, final = self.blocks
        for block in lower:
            hidden = block(hidden)
        return cast(Tensor, self.norm(final(hidden, last)[:, 0]))


class _Block(nn.Module):
    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        size = config.embedding_size
        self.n_heads, self.dropout = config.n_heads, config.dropout
        self.norm_attention, self.norm_mlp = nn.LayerNorm(size), nn.LayerNorm(size)
        self.project, self.merge = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.up, self.down = nn.Linear(size, 2 * size), nn.Linear(2 * size, size)
        self.distance_bias = nn.Parameter(torch.zeros(config.max_history, config.n_heads))

    def forward(self, hidden: Tensor, last: Tensor | None = None) -> Tensor:
        """``[b, t, d]`` -> the same shape, or ``[b, 1, d]`` of the places ``last``."""
        normed = self.norm_attention(hidden)
        hidden = _placed(hidden, last) + self._drop(self._attend(normed, last))
        return hidden + self._drop(self.down(functional.gelu(self.up(self.norm_mlp(hidden)))))

    def _attend(self, hidden: Tensor, last: Tensor | None) -> Tensor:
        (b, t, d), size = hidden.shape, hidden.shape[2] // self.n_heads
        weights, biases = self.project.weight.split([d, 2 * d]), self.project.bias.split([d, 2 * d])
        query = functional.linear(_placed(hidden, last), weights[0], biases[0]) * size**-0.5
        query = query.view(b, -1, self.n_heads, size).transpose(1, 2)
        key, value = functional.linear(hidden, weights[1], biases[1]).view(b, t, 2, self.n_heads, size).unbind(2)
        distances = self._distances(t)
        bias = distances if last is None else distances[:, last].transpose(0, 1).unsqueeze(2)
        weight = self._drop(torch.softmax(query @ key.permute(0, 2, 3, 1) + bias, dim=-1))
        return cast(Tensor, self.merge((weight @ value.transpose(1, 2)).transpose(1, 2).flatten(2)))

    def _distances(self, t: int) -> Tensor:
        """``[head, t, t]``: the bias of how far back each item lies, minus infinity for those yet to come."""
        ahead = self.distance_bias.new_full((t - 1, self.n_heads), float("-inf"))
        farthest_first = torch.cat([self.distance_bias[:t].flip(0), ahead]).T
        return farthest_first.unfold(1, t, 1).flip(1)  # a row for each place, shifted by one against the next

    def _drop(self, hidden: Tensor) -> Tensor:
        return dropout(hidden, self.dropout, self.training)


def _placed(hidden: Tensor, last: Tensor | None) -> Tensor:
    """``[b, t, d]`` as it is, or of each row only the place ``last``, ``[b, 1, d]``."""
    return hidden if last is None else hidden[torch.arange(len(last)), last, None]
