"""Vectors smoothed over the graph of who chose what (LightGCN, He et al. 2020) -> scores of the catalogue."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from tastemaker.collab._graph import Propagation
from tastemaker.collab._histories import chosen
from tastemaker.collab._users import UserConfig, UserModel
from tastemaker.collab.base import CollabConfig
from tastemaker.data.split import Split


class LightGCNConfig(UserConfig):
    """How far vectors spread."""

    n_layers: int = Field(2, ge=1)
    """Steps along the graph; a vector is the mean of what it was after each."""
    batch_size: int = Field(16384, ge=1)
    """Choices per step; each step walks the whole graph."""


class LightGCN(UserModel):
    """Users are where their items are, and items where their users are; trained with BPR."""

    Config: ClassVar[type[CollabConfig]] = LightGCNConfig
    config: LightGCNConfig

    def _tables(self, split: Split) -> nn.Module:
        return Propagation(chosen(split), self.config.embedding_size, self.config.n_layers)
