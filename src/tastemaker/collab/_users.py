"""Vectors of users and items, learned from choices -> scores for anybody, known by id or only by a history."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.collab._histories import chosen, histories
from tastemaker.collab._pairs import Pairs
from tastemaker.collab._training import Loop
from tastemaker.collab.base import CollabConfig, CollaborativeModel
from tastemaker.data.candidates import expected_hits
from tastemaker.data.split import Case, Split
from tastemaker.types import FloatArray, Progress, Query

VALIDATED = 1000
"""Cases that decide which epoch is kept: a thousand tell epochs apart, more would only take time."""


BLOCK = 256
"""Queries scored at a time."""
RIDGE = 1e-3
"""How much folding in is held down, as a share of the mean variance of its input."""


class UserConfig(CollabConfig):
    """Settings shared by models with a vector for every user."""

    embedding_size: int = Field(64, ge=1)
    learning_rate: float = Field(5e-3, gt=0)
    l2: float = Field(1e-4, ge=0)
    """Weight of the squared vectors of a batch, by row, in the loss."""
    batch_size: int = Field(4096, ge=1)
    """Choices per step, fewer where an epoch would have next to no steps."""
    epochs: int = Field(30, ge=1)
    patience: int = Field(5, ge=1)
    """Training stops after so many epochs in a row that were clearly worse on validation than the best one."""


class Dot(nn.Module):
    """The dot product of a user's vector and an item's."""

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """``[...]`` of ``[..., d]`` and ``[..., d]``."""
        return (users * items).sum(-1)

    def catalogue(self, users: Tensor, items: Tensor) -> Tensor:
        """``[user, item]`` of ``[user, d]`` and ``[item, d]``."""
        return users @ items.T


class UserModel(CollaborativeModel):
    """Known users are scored by their own vectors, whatever the history says; all others are folded in.

    Folding in is a linear map from the mean of a history's item vectors to a user vector: the ridge regression that
    does best for the training users. A subclass writes ``_tables``, a module that gives the vectors, and where they do
    not meet in a dot product trained with BPR, ``_head`` and ``_loss``.
    """

    Config: ClassVar[type[CollabConfig]] = UserConfig
    config: UserConfig
    negatives: ClassVar[int] = 1
    """Items drawn beside each choice."""
    head: Any
    """Vectors of users and items -> scores, row by row or for the ``catalogue``."""
    users: Tensor
    """``[user, d]``; zero rows for users without training data."""
    items: Tensor
    """``[item, d]``; zero rows for items without training data."""
    fold: Tensor
    """``[d, d]``: mean item vector -> user vector."""

    @abstractmethod
    def _tables(self, split: Split) -> nn.Module: ...

    def _head(self) -> nn.Module:
        return Dot()

    @property
    def item_vectors(self) -> FloatArray:
        """``[item, d]``; zero rows for unknown items."""
        _ = self.known_items
        return self.items.numpy().copy()

    @property
    def n_users(self) -> int | None:
        """How many users have a vector of their own, if any has."""
        _ = self.known_items
        return len(self.users) if self.users.any() else None

    def without_users(self) -> Self:
        """The same model, to which everybody is a stranger."""
        bare = copy(self)
        bare.users = torch.zeros_like(self.users[:1])
        return bare

    def user_vectors(self, queries: Sequence[Query]) -> FloatArray:
        """``[query, d]``: own vectors of known users, for others what their history gives; zero without either."""
        return self._vectors(queries).numpy()

    def _fit(self, split: Split, rng: np.random.Generator, progress: Progress) -> None:
        config, pairs, choices = self.config, Pairs(split), chosen(split)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            self.head, tables = self._head(), self._tables(split)
        network = nn.ModuleList([tables, self.head])
        optimizer = torch.optim.Adam(network.parameters(), config.learning_rate, fused=True)
        cases = split.valid[:: max(1, len(split.valid) // VALIDATED)]

        def losses() -> Iterator[Tensor]:
            for users, items, others in pairs.batches(rng, config.batch_size, self.negatives):
                yield self._loss(tables(), users, torch.cat([items[:, None], others], dim=1))

        def judge() -> FloatArray:
            self._settle(tables, choices)
            return self.validate(cases)

        loop = Loop(type(self).__name__, config.epochs, config.patience, "HR@1", progress)
        loop.run(network, optimizer, losses, judge)
        self._settle(tables, choices)

    def _loss(self, tables: tuple[Tensor, Tensor], users: Tensor, items: Tensor) -> Tensor:
        """BPR (Rendle et al. 2009) of ``items`` ``[row, 1 + negatives]``, whose first column was chosen."""
        user, item = functional.embedding(users[:, None], tables[0]), functional.embedding(items, tables[1])
        scores = self.head(user, item)
        size = (user.square().sum() + item.square().sum()) / len(users)
        return self.config.l2 * size - functional.logsigmoid(scores[:, :1] - scores[:, 1:]).mean()

    @torch.no_grad()
    def _settle(self, tables: nn.Module, choices: Any) -> None:
        """Take over the vectors as they are now, and how to fold in."""
        users, items = tables()
        n_chosen = np.asarray(choices.sum(axis=1))[:, None]
        self.users = users * torch.from_numpy(n_chosen > 0)
        self.items = items * torch.from_numpy(self.known_items)[:, None]
        seen = n_chosen[:, 0] > 0
        mean = (choices[seen] @ self.items.numpy() / n_chosen[seen]).astype(np.float64)
        gram = mean.T @ mean
        gram[np.diag_indices_from(gram)] += RIDGE * np.trace(gram) / len(gram)
        self.fold = torch.from_numpy(np.linalg.solve(gram, mean.T @ self.users.numpy()[seen]).astype(np.float32))

    def validate(self, cases: Sequence[Case]) -> FloatArray:
        """``[case]``: the chance to rank the positive first among 20, exact over all draws of the negatives."""
        return expected_hits(self.score([case.query for case in cases]), cases, 20)

    @torch.inference_mode()
    def _score(self, queries: Sequence[Query]) -> FloatArray:
        parts = self._vectors(queries).split(BLOCK)
        return torch.cat([self.head.catalogue(users, self.items) for users in parts]).numpy()

    def _vectors(self, queries: Sequence[Query]) -> Tensor:
        read = histories(queries, len(self.item_counts))
        lengths = read @ self.known_items.astype(np.float32)
        mean = read @ self.items.numpy() / lengths.clip(min=1)[:, None]
        vectors = torch.from_numpy(mean) @ self.fold
        who = torch.tensor([-1 if query.user is None else query.user for query in queries], dtype=torch.long)
        inside = (who >= 0) & (who < len(self.users))
        own = self.users[torch.where(inside, who, 0)]
        trained = inside & own.any(dim=1)
        return torch.where(trained[:, None], own, vectors)

    def _state(self) -> dict[str, np.ndarray[Any, Any]]:
        vectors = {name: getattr(self, name).numpy() for name in ("users", "items", "fold")}
        return {**vectors, **{f"head.{name}": tensor.numpy() for name, tensor in self.head.state_dict().items()}}

    def _restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None:
        tensors = {name: torch.from_numpy(np.array(array)) for name, array in state.items()}
        self.users, self.items, self.fold = (tensors.pop(name) for name in ("users", "items", "fold"))
        with torch.random.fork_rng(devices=[]):
            self.head = self._head()
        self.head.load_state_dict({name.removeprefix("head."): tensor for name, tensor in tensors.items()})
        self.head.eval()
