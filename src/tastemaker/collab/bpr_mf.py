"""A vector for every user and item, trained to rank what was chosen above what was not (BPR, Rendle et al. 2009)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tastemaker.collab._users import UserModel
from tastemaker.data.split import Split


class BPRMF(UserModel):
    """Matrix factorisation with an item bias, which is the last column of the item vectors."""

    def _tables(self, split: Split) -> nn.Module:
        return _Tables(split.dataset.n_users, split.dataset.n_items, self.config.embedding_size)


class _Tables(nn.Module):
    def __init__(self, n_users: int, n_items: int, size: int) -> None:
        super().__init__()
        self.users = nn.Parameter(torch.randn(n_users, size) * 0.1)
        self.items = nn.Parameter(torch.cat([torch.randn(n_items, size) * 0.1, torch.zeros(n_items, 1)], dim=1))

    def forward(self) -> tuple[Tensor, Tensor]:
        return torch.cat([self.users, torch.ones(len(self.users), 1)], dim=1), self.items
