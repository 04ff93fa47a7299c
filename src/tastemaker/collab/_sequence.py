"""A network over histories -> a trained sequence model: the windows, losses and schedule all of them share."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from tastemaker.collab._batched import BatchedModel
from tastemaker.collab._embedding import cooccurrence_vectors
from tastemaker.collab._losses import Dropout, catalogue_cross_entropy, matmul_dtype, sampled_binary
from tastemaker.collab._training import Loop
from tastemaker.collab._windows import Windows
from tastemaker.collab.base import CollabConfig
from tastemaker.data.split import Split
from tastemaker.types import FloatArray, Progress, Query


class SequenceConfig(CollabConfig):
    """Settings all sequence models share.

    The defaults are what measured best. With ``loss="bce"`` whatever is not set is as the papers had it: ``published``.
    """

    published: ClassVar[Mapping[str, Any]] = {
        "embedding_size": 64,
        "max_history": 10,
        "dropout": 0.1,
        "embedding_dropout": 0.1,
        "tie_weights": False,
        "warm_start": False,
        "shuffle_ties": False,
        "learning_rate": 1e-3,
        "weight_decay": 1e-3,
        "batch_size": 32,
        "epochs": 60,
        "patience": 10,
    }
    """The models LLaRA compared with; 32 windows of ten targets stand for its batches of 256 targets."""

    embedding_size: int = Field(64, ge=1)
    max_history: int = Field(50, ge=1)
    """Older history items are not read."""
    dropout: float = Field(0.3, ge=0, lt=1)
    embedding_dropout: float = Field(0.1, ge=0, lt=1)
    loss: Literal["softmax", "bce"] = "softmax"
    """``softmax`` over the whole catalogue, or ``bce`` against one uniform negative, as the papers trained."""
    tie_weights: bool = True
    """Whether item embeddings are the output weights too."""
    warm_start: bool = True
    """Begin with item vectors that know who co-occurs with whom, instead of random ones."""
    shuffle_ties: bool = True
    """Draw the order inside equal timestamps anew each epoch."""
    learning_rate: float = Field(2e-3, gt=0)
    """Reached after a twentieth of the steps, then lowered to nothing along a cosine."""
    weight_decay: float = Field(0.1, ge=0)
    batch_size: int = Field(32, ge=1)
    """Windows per step, where they are full; more of them where they are short."""
    epochs: int = Field(8, ge=1)
    patience: int = Field(4, ge=1)
    """Training stops after so many epochs in a row that were clearly worse on validation than the best one."""

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, given: Any) -> Any:
        return {**cls.published, **given} if isinstance(given, dict) and given.get("loss") == "bce" else given


class Body(nn.Module):
    """What reads a history: from ``[b, t, d]`` to ``[b, t, d]``, never looking ahead."""

    def at(self, hidden: Tensor, last: Tensor) -> Tensor:
        """``[b, d]``: what it has read of each history by its place ``last``."""
        return cast(Tensor, self(hidden)[torch.arange(len(last)), last])


class Network(nn.Module):
    """Item embeddings, a body and output weights."""

    def __init__(self, n_items: int, config: SequenceConfig, body: Body) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_items + 1, config.embedding_size, padding_idx=n_items)
        nn.init.normal_(self.embedding.weight[:n_items], std=config.embedding_size**-0.5)
        self.output = None if config.tie_weights else nn.Linear(config.embedding_size, n_items, bias=False)
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.dropout = Dropout(config.embedding_dropout)
        self.body = body

    def forward(self, items: Tensor, last: Tensor | None = None) -> Tensor:
        """Hidden states ``[b, t, d]``; state t has read items 0 .. t. With ``last`` ``[b]`` only those, ``[b, d]``."""
        vectors = self.dropout(self.embedding(items))
        return cast(Tensor, self.body(vectors) if last is None else self.body.at(vectors, last))

    def logits(self, hidden: Tensor) -> Tensor:
        """``[..., item]`` scores of the whole catalogue."""
        return functional.linear(hidden, self.output_weight, self.bias)

    @torch.no_grad()
    def start_from(self, vectors: Tensor) -> None:
        """Set the item embeddings, and output weights of their own if there are any."""
        self.embedding.weight[:-1] = vectors
        self.output_weight.copy_(vectors)

    @property
    def output_weight(self) -> Tensor:
        """``[item, d]``."""
        return self.embedding.weight[:-1] if self.output is None else self.output.weight


class SequenceModel(BatchedModel):
    """A `Network` trained to name the next item at every position. A subclass writes ``_body``."""

    Config: ClassVar[type[CollabConfig]] = SequenceConfig
    config: SequenceConfig
    network: Network

    @abstractmethod
    def _body(self) -> Body: ...

    @property
    def probabilities(self) -> bool:
        """Only of a model that learned to tell each item from the whole catalogue."""
        return self.config.loss == "softmax"

    @property
    def item_vectors(self) -> FloatArray:
        """``[item, d]`` input embeddings; zero rows for unknown items."""
        known = self.known_items
        vectors = self.network.embedding.weight[:-1].detach().numpy().astype(np.float32)
        return np.where(known[:, None], vectors, np.float32(0))

    def _fit(self, split: Split, rng: np.random.Generator, progress: Progress) -> None:
        # Dropout draws from torch's global generator: borrow it, and give it back as it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            self.network = Network(len(self.item_counts), self.config, self._body())
            if self.config.warm_start:
                vectors = cooccurrence_vectors(split, self.config.embedding_size, rng)
                self.network.start_from(torch.from_numpy(vectors))
            self._train(split, rng, progress)

    def _train(self, split: Split, rng: np.random.Generator, progress: Progress) -> None:
        config, parameters = self.config, list(self.network.parameters())
        windows = Windows(split.train, config.max_history, shuffle_ties=config.shuffle_ties)
        optimizer = torch.optim.AdamW(
            parameters, config.learning_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay, fused=True
        )
        schedule = LambdaLR(optimizer, _warm_then_cosine(config.epochs * windows.steps(config.batch_size)))

        def clip(*_: Any) -> None:
            nn.utils.clip_grad_norm_(parameters, 1.0)

        optimizer.register_step_pre_hook(clip)
        optimizer.register_step_post_hook(lambda *_: schedule.step())

        def losses() -> Iterator[Tensor]:
            for batch in windows.batches(rng, config.batch_size, padding=len(self.item_counts)):
                yield self._loss(torch.from_numpy(batch).long())

        loop = Loop(type(self).__name__, config.epochs, config.patience, "HR@1", progress)
        loop.run(self.network, optimizer, losses, lambda: self.validate(split.valid))

    def _loss(self, batch: Tensor) -> Tensor:
        """The mean over all positions whose next item is known."""
        n_items = len(self.item_counts)
        source, target = batch[:, :-1], batch[:, 1:]
        real = target != n_items
        # The papers' batches are too small for bf16 to pay.
        quick = self.config.loss == "softmax" and matmul_dtype() == torch.bfloat16
        with torch.autocast("cpu", torch.bfloat16, enabled=quick):
            hidden = self.network(source)
        hidden, wanted = hidden[real].float(), target[real]
        loss = catalogue_cross_entropy if self.config.loss == "softmax" else sampled_binary
        return loss(hidden, self.network.output_weight, self.network.bias, wanted)

    @torch.inference_mode()
    def _score_batch(self, queries: Sequence[Query]) -> FloatArray:
        histories = [query.history[-self.config.max_history :] for query in queries]
        items = np.full((len(histories), max(map(len, histories))), len(self.item_counts), dtype=np.int64)
        for row, history in zip(items, histories, strict=True):
            row[: len(history)] = history
        last = torch.tensor([len(history) - 1 for history in histories])
        hidden = self.network(torch.from_numpy(items), last)
        return functional.log_softmax(self.network.logits(hidden), dim=-1).numpy()

    def _state(self) -> dict[str, np.ndarray[Any, Any]]:
        return {name: tensor.numpy().copy() for name, tensor in self.network.state_dict().items()}

    def _restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None:
        with torch.random.fork_rng(devices=[]):
            self.network = Network(len(self.item_counts), self.config, self._body())
        self.network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in state.items()})
        self.network.eval()


def _warm_then_cosine(total: int) -> Callable[[int], float]:
    """Factors of the learning rate: up over a twentieth of ``total`` steps, then down to nothing."""
    warm = total / 20 + 1
    return lambda step: min(1.0, (step + 1) / warm) * (1 + math.cos(math.pi * min(1.0, step / total))) / 2
