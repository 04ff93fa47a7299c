"""A network that answers yes or no -> a trained model: rows as tensors, the loop, early stopping on AUC."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
from pydantic import Field
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.collab._training import Loop
from tastemaker.collab.base import CollabConfig
from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.data.preference import Judgement, PreferenceSplit, labels
from tastemaker.types import BoolArray, FloatArray, IntArray, Progress, Query

STEPS = 8
"""An epoch has about so many steps at least: one of a single step would tell validation nothing."""


class PointwiseConfig(CollabConfig):
    """Settings all networks share; the defaults are those CoLLM chose for MovieLens-1M."""

    embedding_size: int = Field(64, ge=1)
    max_history: int = Field(0, ge=0)
    """Liked items that are read, the last ones."""
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    """Coupled: it is part of the gradient that Adam scales, so that vectors no row asks for shrink to nothing."""
    batch_size: int = Field(2048, ge=1)
    """Rows per step, fewer where an epoch would have next to no steps."""
    epochs: int = Field(500, ge=1)
    patience: int = Field(20, ge=1)
    """Training stops after so many epochs in a row without a better AUC on validation."""


@dataclass(frozen=True)
class Rows:
    """Questions as tensors; who or what is not known has the number after the last one."""

    users: Tensor
    items: Tensor
    histories: Tensor
    """``[row, max_history]``: liked items, the newest last, filled up from the left."""

    def __len__(self) -> int:
        return len(self.users)

    def __getitem__(self, chosen: Tensor | slice) -> Rows:
        return Rows(self.users[chosen], self.items[chosen], self.histories[chosen])


class Network(nn.Module):
    """What a `NetworkModel` trains: ``forward`` gives log-odds ``[row]``."""

    def user(self, rows: Rows) -> Tensor:
        """``[row, d]``: who asks."""
        raise NotImplementedError

    def item_table(self) -> Tensor:
        """``[item, d]``: one more row than there are items, that of the unknown one."""
        raise NotImplementedError

    def forward(self, rows: Rows) -> Tensor:
        """The dot product of who asks and the item asked about."""
        return (self.user(rows) * functional.embedding(rows.items, self.item_table())).sum(-1)


class NetworkModel(PointwiseModel):
    """Log-odds from a `Network`, trained with BCE and Adam. A subclass writes ``_network``."""

    Config: ClassVar[type[CollabConfig]] = PointwiseConfig
    config: PointwiseConfig
    network: Network

    @abstractmethod
    def _network(self) -> Network:
        """The network that answers, not trained yet."""

    def fresh(self) -> Network:
        """The network as it was before anything was learned, drawn from torch's generator."""
        return self._network()

    def _learner(self, split: PreferenceSplit, progress: Progress) -> Network:
        """The network that learns, where it is not the one that answers."""
        return self._network()

    def _settled(self, learner: Network) -> Network:
        """What answers, from what has learned."""
        return learner

    @property
    def item_vectors(self) -> FloatArray:
        """``[item, d]``; zero rows for unknown items."""
        known = self.known_items
        with torch.inference_mode():
            vectors: FloatArray = self.network.item_table()[:-1].numpy()
        return np.where(known[:, None], vectors, np.float32(0))

    def user_vectors(self, queries: Sequence[Query]) -> FloatArray:
        """``[query, d]``: who asks; zero rows where ``knows`` is False."""
        return self._users(queries, np.full(len(queries), -1, np.int32))

    def _users(self, queries: Sequence[Query], items: IntArray) -> FloatArray:
        known = self.knows(queries)
        vectors = self._forward(self.network.user, self.rows(queries, items))
        return np.where(known[:, None], vectors, np.float32(0))

    def rows(self, queries: Sequence[Query], items: IntArray) -> Rows:
        """The queries with the item beside each, as tensors."""
        users, length = self.users_of(queries), self.config.max_history
        histories = np.full((len(queries), length), len(self.item_counts), dtype=np.int64)
        if length:
            read = [self.read(query) for query in queries]
            sizes = np.array([len(items) for items in read])
            histories[np.arange(length) >= length - sizes[:, None]] = [item for items in read for item in items]
        return Rows(
            torch.from_numpy(np.where(users < 0, len(self.user_counts), users).astype(np.int64)),
            torch.from_numpy(np.where(items < 0, len(self.item_counts), items).astype(np.int64)),
            torch.from_numpy(histories),
        )

    def read(self, query: Query) -> list[int]:
        """The last known items of the history that were liked, as far as anybody said."""
        likes = query.likes or (True,) * len(query.history)
        known = self.known_items
        liked = [
            int(item)
            for item, like in zip(query.history, likes, strict=True)
            if like and 0 <= item < len(known) and known[item]
        ]
        return liked[-self.config.max_history :]

    def _fit(self, split: PreferenceSplit, rng: np.random.Generator, progress: Progress) -> None:
        config, name = self.config, type(self).__name__
        # Dropout draws from torch's global generator: borrow it, and give it back as it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            network = self._learner(split, progress)
            optimizer = torch.optim.Adam(
                network.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
            )
            asked, wanted = self.asked(split.train), torch.from_numpy(labels(split.train).astype(np.float32))
            alike = np.unique(asked.histories.numpy(), axis=0, return_inverse=True)[1]

            def losses() -> Iterator[Tensor]:
                # Rows with the same history, in any order, come together: it need be read only once.
                order = np.lexsort((rng.random(len(asked)), rng.permutation(len(asked))[alike]))
                for rows in batches(torch.from_numpy(order), config.batch_size):
                    yield functional.binary_cross_entropy_with_logits(network(asked[rows]), wanted[rows])

            loop = Loop(name, config.epochs, config.patience, "AUC", progress)
            loop.run(network, optimizer, losses, self._judge(network, split.valid))
        self.network = self._settled(network).eval()

    def _judge(self, network: Network, valid: Sequence[Judgement]) -> Callable[[], FloatArray]:
        asked, liked = self.asked(valid), labels(valid)
        if liked.all() or not liked.any():
            return lambda: np.zeros(0, np.float32)
        return lambda: np.array([auc(self._forward(network, asked), liked)], dtype=np.float32)

    def asked(self, rows: Sequence[Judgement]) -> Rows:
        """What the rows ask, as tensors."""
        return self.rows([row.query for row in rows], self.items_of([row.item for row in rows]))

    def _log_odds(self, queries: Sequence[Query], items: IntArray) -> FloatArray:
        return self._forward(self.network, self.rows(queries, items))

    @torch.inference_mode()
    def _forward(self, what: Callable[[Rows], Tensor], rows: Rows) -> FloatArray:
        size = 4096
        parts = [what(rows[begin : begin + size]) for begin in range(0, max(len(rows), 1), size)]
        return cast(FloatArray, torch.cat(parts).numpy())

    def _state(self) -> dict[str, np.ndarray[Any, Any]]:
        return {name: tensor.numpy().copy() for name, tensor in self.network.state_dict().items()}

    def _restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None:
        with torch.random.fork_rng(devices=[]):
            self.network = self._network()
        self.network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in state.items()})
        self.network.eval()


def auc(scores: FloatArray, liked: BoolArray) -> float:
    """The share of (liked, disliked) pairs in which the liked row scores higher; equal scores count half."""
    n_liked = int(liked.sum())
    ranks = rankdata(scores)[liked].sum() - n_liked * (n_liked + 1) / 2
    return float(ranks / (n_liked * (len(liked) - n_liked)))


def table(n: int, size: int, std: float) -> nn.Embedding:
    """``n`` random vectors and, last, that of who or what is not known: zero, and so it stays."""
    vectors = nn.Embedding(n + 1, size, padding_idx=n)
    nn.init.normal_(vectors.weight[:n], std=std)
    return vectors


def batches(order: Tensor, size: int) -> Iterator[Tensor]:
    """The rows in that order, ``size`` at a time, fewer where an epoch would have next to no steps."""
    yield from order.split(min(size, math.ceil(len(order) / STEPS)))
