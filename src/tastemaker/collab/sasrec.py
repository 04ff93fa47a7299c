"""Self-attention over the history (SASRec, Kang and McAuley 2018) -> scores of the next item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.collab._losses import dropout
from tastemaker.collab._sequence import SequenceConfig, SequenceModel
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

    def _body(self) -> nn.Module:
        return _Transformer(self.config)


class _Transformer(nn.Module):
    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(config.embedding_size)

    def forward(self, hidden: Tensor) -> Tensor:
        for block in self.blocks:
            hidden = block(hidden)
        return cast(Tensor, self.norm(hidden))


class _Block(nn.Module):
    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        size = config.embedding_size
        self.n_heads, self.dropout = config.n_heads, config.dropout
        self.norm_attention, self.norm_mlp = nn.LayerNorm(size), nn.LayerNorm(size)
        self.project, self.merge = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.up, self.down = nn.Linear(size, 2 * size), nn.Linear(2 * size, size)
        self.distance_bias = nn.Parameter(torch.zeros(config.max_history, config.n_heads))

    def forward(self, hidden: Tensor) -> Tensor:
        """``[b, t, d]`` -> the same shape."""
        hidden = hidden + self._drop(self._attend(self.norm_attention(hidden)))
        return hidden + self._drop(self.down(functional.gelu(self.up(self.norm_mlp(hidden)))))

    def _attend(self, hidden: Tensor) -> Tensor:
        b, t, d = hidden.shape
        query, key, value = self.project(hidden).view(b, t, 3, self.n_heads, d // self.n_heads).permute(2, 0, 3, 1, 4)
        back = torch.arange(t)[:, None] - torch.arange(t)
        bias = self.distance_bias[back.clamp(min=0)].permute(2, 0, 1).masked_fill(back < 0, float("-inf"))
        weight = self._drop(torch.softmax(query @ key.transpose(-1, -2) * (d // self.n_heads) ** -0.5 + bias, dim=-1))
        return cast(Tensor, self.merge((weight @ value).transpose(1, 2).reshape(b, t, d)))

    def _drop(self, hidden: Tensor) -> Tensor:
        return dropout(hidden, self.dropout, self.training)
