"""Texts of items -> a DIN that begins where the texts are (CTRL, Li et al. 2023), and answers without them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.collab._training import Loop
from tastemaker.collab.base import CollabConfig
from tastemaker.collab.pointwise._network import Network, Rows, batches
from tastemaker.collab.pointwise.din import DIN, DINConfig, Interest
from tastemaker.data.preference import PreferenceSplit
from tastemaker.errors import DataError
from tastemaker.types import FloatArray, Progress


class CTRLDINConfig(DINConfig):
    """How long vectors and texts are brought together before anything is answered."""

    align_epochs: int = Field(3, ge=1)
    temperature: float = Field(0.1, gt=0)
    title_size: int = Field(128, ge=1)
    """Length of the vectors made from titles where no texts are given."""


class CTRLDIN(DIN):
    """Before it learns answers, each row's vector learns to find that row's own text among those of its batch.

    ``texts`` ``[item, d]`` are frozen vectors from any text encoder; without them the words of the titles must do.
    """

    Config: ClassVar[type[CollabConfig]] = CTRLDINConfig
    config: CTRLDINConfig

    def __init__(self, config: CollabConfig | None = None, *, texts: FloatArray | None = None, **settings: Any) -> None:
        super().__init__(config, **settings)
        self.texts = texts

    def _learner(self, split: PreferenceSplit, progress: Progress) -> Network:
        network, config = cast(Interest, self._network()), self.config
        texts = self._text_table(split)
        bridge = nn.Linear(3 * config.embedding_size, 2 * texts.shape[1])
        asked = self.asked(split.train)
        optimizer = torch.optim.Adam([*network.parameters(), *bridge.parameters()], config.learning_rate, fused=True)

        def losses() -> Iterator[Tensor]:
            for chosen in batches(torch.randperm(len(asked)), config.batch_size):
                rows = asked[chosen]
                yield _contrast(bridge(network.user(rows)), _row_texts(texts, rows), config.temperature)

        loop = Loop(f"{type(self).__name__} texts", config.align_epochs, config.align_epochs, "", progress)
        loop.run(network, optimizer, losses, lambda: np.zeros(0, np.float32))
        return network

    def _text_table(self, split: PreferenceSplit) -> Tensor:
        """``[item + 1, d]``: unit rows, and zero for the unknown item."""
        n_items = split.dataset.n_items
        texts = (
            title_vectors(split.dataset.items["title"].to_list(), self.config.title_size)
            if self.texts is None
            else self.texts
        )
        if texts.ndim != 2 or len(texts) != n_items:
            raise DataError(f"texts are {texts.shape}, but {split.dataset.name} has {n_items} items; give one row each")
        return functional.pad(functional.normalize(torch.from_numpy(np.array(texts, np.float32))), (0, 0, 0, 1))


def title_vectors(titles: Sequence[str], size: int) -> FloatArray:
    """``[title, size]``: words weighed by how rare they are, each a direction drawn once and for all."""
    words = [set(re.findall(r"\w+", (title or "").lower())) for title in titles]
    vocabulary = {word: row for row, word in enumerate(sorted(set().union(*words)))}
    counts = np.zeros(len(vocabulary))
    for found in words:
        counts[[vocabulary[word] for word in found]] += 1
    directions = (
        np.random.default_rng(0).normal(size=(len(vocabulary), size)) * np.log(1 + len(words) / counts)[:, None]
    )
    vectors = [directions[sorted(vocabulary[word] for word in found)].sum(axis=0) for found in words]
    return np.array(vectors, dtype=np.float32).reshape(len(words), size)


def _row_texts(texts: Tensor, rows: Rows) -> Tensor:
    """``[row, 2 d]``: the text of the item asked about beside the mean of what was liked."""
    liked = functional.embedding(rows.histories, texts).mean(1)
    return torch.cat([functional.embedding(rows.items, texts), functional.normalize(liked)], dim=1)


def _contrast(vectors: Tensor, texts: Tensor, temperature: float) -> Tensor:
    """Each row's vector has to find its own text in the batch, and its text the vector."""
    likeness = functional.normalize(vectors) @ functional.normalize(texts).T / temperature
    own = torch.arange(len(likeness))
    return (functional.cross_entropy(likeness, own) + functional.cross_entropy(likeness.T, own)) / 2
