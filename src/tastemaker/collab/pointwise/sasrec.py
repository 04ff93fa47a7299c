"""Self-attention over what was liked before (SASRec, Kang and McAuley 2018) -> log-odds of the item asked about."""

from __future__ import annotations

from typing import ClassVar, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.collab._losses import Dropout
from tastemaker.collab.base import CollabConfig
from tastemaker.collab.pointwise._network import Network, PointwiseConfig
from tastemaker.collab.pointwise._reader import Reader, ReaderModel


class SASRecConfig(PointwiseConfig):
    """How the history is read."""

    max_history: int = Field(25, ge=1)
    learning_rate: float = Field(1e-2, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    dropout: float = Field(0.2, ge=0, lt=1)
    n_layers: int = Field(2, ge=1)
    n_heads: int = Field(1, ge=1)
    patience: int = Field(10, ge=1)

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.embedding_size % self.n_heads:
            raise ValueError(f"embedding_size={self.embedding_size} must be a multiple of n_heads={self.n_heads}")
        return self


class SASRec(ReaderModel):
    """The state after the last liked item meets the vector of the item asked about; users are not known by id."""

    Config: ClassVar[type[CollabConfig]] = SASRecConfig
    config: SASRecConfig

    def _network(self) -> Network:
        return Attention(len(self.item_counts), self.config)


class Attention(Reader):
    """Blocks of self-attention over the vectors of a history; a subclass may change what these are."""

    def __init__(self, n_items: int, config: SASRecConfig) -> None:
        size = config.embedding_size
        super().__init__(n_items, size)
        self.places = nn.Parameter(torch.randn(config.max_history, size) * size**-0.5)
        self.blocks = nn.ModuleList(_Block(size, config.n_heads, config.dropout) for _ in range(config.n_layers))
        self.dropout, self.norm = Dropout(config.dropout), nn.LayerNorm(size)

    def embedded(self, histories: Tensor) -> Tensor:
        """``[history, t, d]``: what is read at each place."""
        found: Tensor = self.items(histories)
        return found

    def read(self, histories: Tensor, real: Tensor) -> Tensor:
        """See `Reader`."""
        length = histories.shape[1]
        # A position sees itself always, so that no softmax is empty, and of the others what is real and not ahead.
        seen = (real[:, None] & torch.ones(length, length, dtype=torch.bool).tril()) | torch.eye(length).bool()
        hidden = self.dropout(self.embedded(histories) + self.places)
        for block in self.blocks[:-1]:
            hidden = block(hidden, seen[:, None], length)
        return cast(Tensor, self.norm(self.blocks[-1](hidden, seen[:, None], 1)[:, 0]))


class _Block(nn.Module):
    def __init__(self, size: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads, self.dropout = n_heads, Dropout(dropout)
        self.norm_attention, self.norm_mlp = nn.LayerNorm(size), nn.LayerNorm(size)
        self.ask, self.tell, self.merge = nn.Linear(size, size), nn.Linear(size, 2 * size), nn.Linear(size, size)
        self.up, self.down = nn.Linear(size, size), nn.Linear(size, size)

    def forward(self, hidden: Tensor, seen: Tensor, last: int) -> Tensor:
        """``[b, t, d]`` -> the states of the ``last`` places, after they have looked at all they may see."""
        b, t, d = hidden.shape
        normal = self.norm_attention(hidden)
        key, value = self.tell(normal).view(b, t, 2, self.n_heads, d // self.n_heads).permute(2, 0, 3, 1, 4)
        query = self.ask(normal[:, -last:]).view(b, last, self.n_heads, d // self.n_heads).transpose(1, 2)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen[:, :, -last:])
        hidden = hidden[:, -last:] + self.dropout(self.merge(attended.transpose(1, 2).reshape(b, last, d)))
        return cast(Tensor, hidden + self.dropout(self.down(functional.relu(self.up(self.norm_mlp(hidden))))))
