"""A history with blanks, read from both sides (BERT4Rec, Sun et al. 2019) -> what stands in them, the next item too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.collab._batched import BatchedModel
from tastemaker.collab._embedding import cooccurrence_vectors
from tastemaker.collab._losses import catalogue_cross_entropy
from tastemaker.collab._training import Loop
from tastemaker.collab._windows import Windows
from tastemaker.collab.base import CollabConfig
from tastemaker.data.split import Split
from tastemaker.types import FloatArray, Progress, Query


class BERT4RecConfig(CollabConfig):
    """How the history is read, and how much of it is hidden in training."""

    embedding_size: int = Field(64, ge=1)
    max_history: int = Field(50, ge=2)
    """Places that are read, the blank one included."""
    masked: float = Field(0.2, ge=0, lt=1)
    """Share of a window that is blank in training, besides its last item."""
    dropout: float = Field(0.2, ge=0, lt=1)
    n_layers: int = Field(2, ge=1)
    n_heads: int = Field(2, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    batch_size: int = Field(64, ge=1)
    """Windows per step."""
    epochs: int = Field(40, ge=1)
    patience: int = Field(5, ge=1)
    """Training stops after so many epochs in a row that were clearly worse on validation than the best one."""

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.embedding_size % self.n_heads:
            raise ValueError(f"embedding_size={self.embedding_size} must be a multiple of n_heads={self.n_heads}")
        return self


class BERT4Rec(BatchedModel):
    """A transformer that sees both ways, trained with softmax over the catalogue to fill in blanks."""

    Config: ClassVar[type[CollabConfig]] = BERT4RecConfig
    config: BERT4RecConfig
    network: _Network

    @property
    def probabilities(self) -> bool:
        """Scores are log-probabilities."""
        return True

    @property
    def item_vectors(self) -> FloatArray:
        """``[item, d]`` input embeddings; zero rows for unknown items."""
        known = self.known_items
        return np.where(known[:, None], self.network.item_table().detach().numpy(), np.float32(0))

    def _fit(self, split: Split, rng: np.random.Generator, progress: Progress) -> None:
        config = self.config
        # Dropout draws from torch's global generator: borrow it, and give it back as it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            self.network = _Network(len(self.item_counts), config)
            self.network.start_from(torch.from_numpy(cooccurrence_vectors(split, config.embedding_size, rng)))
            windows = Windows(split.train, config.max_history - 1, shuffle_ties=True)
            optimizer = torch.optim.AdamW(
                self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
            )

            def losses() -> Iterator[Tensor]:
                for batch in windows.batches(rng, config.batch_size, padding=len(self.item_counts)):
                    yield self._loss(torch.from_numpy(batch).long(), torch.from_numpy(rng.random(batch.shape)))

            loop = Loop(type(self).__name__, config.epochs, config.patience, "HR@1", progress)
            loop.run(self.network, optimizer, losses, lambda: self.validate(split.valid))

    def _loss(self, items: Tensor, chance: Tensor) -> Tensor:
        padding = len(self.item_counts)
        real = items != padding
        # The last item is always blank, as it will be when it is asked for.
        last = real.sum(1, keepdim=True) - 1 == torch.arange(items.shape[1])
        blank = real & ((chance < self.config.masked) | last)
        hidden = self.network(items.masked_fill(blank, padding + 1))[blank]
        return catalogue_cross_entropy(hidden, self.network.item_table(), self.network.bias, items[blank])

    @torch.inference_mode()
    def _score_batch(self, queries: Sequence[Query]) -> FloatArray:
        padding = len(self.item_counts)
        histories = [query.history[1 - self.config.max_history :] for query in queries]
        items = np.full((len(histories), max(map(len, histories)) + 1), padding, dtype=np.int64)
        for row, history in zip(items, histories, strict=True):
            row[: len(history)] = history
            row[len(history)] = padding + 1
        last = torch.tensor([len(history) for history in histories])
        hidden = self.network(torch.from_numpy(items))[torch.arange(len(histories)), last]
        logits = functional.linear(hidden, self.network.item_table(), self.network.bias)
        return functional.log_softmax(logits, dim=-1).numpy()

    def _state(self) -> dict[str, np.ndarray[Any, Any]]:
        return {name: tensor.numpy().copy() for name, tensor in self.network.state_dict().items()}

    def _restore(self, state: dict[str, np.ndarray[Any, Any]]) -> None:
        with torch.random.fork_rng(devices=[]):
            self.network = _Network(len(self.item_counts), self.config)
        self.network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in state.items()})
        self.network.eval()


class _Network(nn.Module):
    """Item embeddings are the output weights too; after the items come padding and the blank."""

    def __init__(self, n_items: int, config: BERT4RecConfig) -> None:
        super().__init__()
        size = config.embedding_size
        self.embedding = nn.Embedding(n_items + 2, size, padding_idx=n_items)
        nn.init.normal_(self.embedding.weight[n_items + 1], std=size**-0.5)
        self.places = nn.Parameter(torch.randn(config.max_history, size) * 0.02)
        self.bias = nn.Parameter(torch.zeros(n_items))
        layer = nn.TransformerEncoderLayer(
            size, config.n_heads, 2 * size, config.dropout, functional.gelu, batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, config.n_layers, nn.LayerNorm(size), enable_nested_tensor=False)

    def forward(self, items: Tensor) -> Tensor:
        """Hidden states ``[b, t, d]`` of items padded on the right; every state has read all items."""
        padded = items == len(self.embedding.weight) - 2
        # Places count from the end, so that the newest item stands where it always does.
        back = (~padded).sum(1, keepdim=True) - 1 - torch.arange(items.shape[1])
        hidden = self.embedding(items) + functional.embedding(back.clamp(min=0), self.places)
        return cast(Tensor, self.body(hidden, src_key_padding_mask=padded))

    def item_table(self) -> Tensor:
        """``[item, d]``."""
        return self.embedding.weight[:-2]

    @torch.no_grad()
    def start_from(self, vectors: Tensor) -> None:
        """Set the item embeddings."""
        self.item_table().copy_(vectors)
