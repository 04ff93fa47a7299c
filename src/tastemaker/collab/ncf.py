"""A network that learns how users and items meet (NeuMF, He et al. 2017) -> scores of the catalogue."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.collab._users import UserConfig, UserModel
from tastemaker.collab.base import CollabConfig
from tastemaker.data.split import Split


class NCFConfig(UserConfig):
    """How deep the network is."""

    embedding_size: int = Field(64, ge=2)
    """Half of it meets in a product, half in the layers."""
    layers: tuple[int, ...] = (32, 16, 8)

    @model_validator(mode="after")
    def _halves(self) -> Self:
        if self.embedding_size % 2 or not self.layers or min(self.layers) < 1:
            raise ValueError("embedding_size must be even, and layers positive, at least one of them")
        return self


class NCF(UserModel):
    """A product and a perceptron side by side, each with vectors of its own, trained with BCE on four negatives."""

    Config: ClassVar[type[CollabConfig]] = NCFConfig
    config: NCFConfig
    negatives: ClassVar[int] = 4

    def _tables(self, split: Split) -> nn.Module:
        return _Tables(split.dataset.n_users, split.dataset.n_items, self.config.embedding_size)

    def _head(self) -> nn.Module:
        return _Head(self.config.embedding_size // 2, self.config.layers)

    def _loss(self, tables: tuple[Tensor, Tensor], users: Tensor, items: Tensor) -> Tensor:
        user, item = functional.embedding(users[:, None], tables[0]), functional.embedding(items, tables[1])
        scores = self.head(user, item)
        wanted = torch.zeros_like(scores)
        wanted[:, 0] = 1
        size = (user.square().sum() + item.square().sum()) / len(users)
        return self.config.l2 * size + functional.binary_cross_entropy_with_logits(scores, wanted)


class _Tables(nn.Module):
    def __init__(self, n_users: int, n_items: int, size: int) -> None:
        super().__init__()
        self.users = nn.Parameter(torch.randn(n_users, size) * 0.1)
        self.items = nn.Parameter(torch.randn(n_items, size) * 0.1)

    def forward(self) -> tuple[Tensor, Tensor]:
        return self.users, self.items


class _Head(nn.Module):
    """Of each vector the first ``size`` numbers are for the product, the others for the perceptron."""

    def __init__(self, size: int, layers: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size
        self.of_user, self.of_item = nn.Linear(size, layers[0]), nn.Linear(size, layers[0], bias=False)
        self.deeper = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(layers))
        self.product, self.perceptron = nn.Linear(size, 1), nn.Linear(layers[-1], 1, bias=False)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """``[...]`` of ``[..., d]`` and ``[..., d]``."""
        product = self.product(users[..., : self.size] * items[..., : self.size])
        return cast(Tensor, (product + self._perceive(users, items)).squeeze(-1))

    def catalogue(self, users: Tensor, items: Tensor) -> Tensor:
        """``[user, item]`` of ``[user, d]`` and ``[item, d]``."""
        weighed = users[:, : self.size] * self.product.weight
        product = torch.addmm(self.product.bias, weighed, items[:, : self.size].T)
        return product + self._perceive(users[:, None], items).squeeze(-1)

    def _perceive(self, users: Tensor, items: Tensor) -> Tensor:
        # The first layer reads both vectors side by side, which is the sum of reading each.
        hidden = functional.relu(self.of_user(users[..., self.size :]) + self.of_item(items[..., self.size :]))
        for layer in self.deeper:
            hidden = functional.relu(layer(hidden))
        return cast(Tensor, self.perceptron(hidden))
