"""A sparse matrix of users and items -> vectors that have walked along it, and their gradients."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn


class Propagation(nn.Module):
    """A vector for each user and item; ``forward`` gives the mean of them after 0 .. ``n_layers`` steps.

    A step replaces a vector by the sum of its neighbours', each divided by the root of both numbers of neighbours.
    """

    def __init__(self, choices: Any, size: int, n_layers: int) -> None:
        super().__init__()
        n_users, n_items = choices.shape
        self.n_layers = n_layers
        self.users = nn.Parameter(torch.randn(n_users, size) * 0.1)
        self.items = nn.Parameter(torch.randn(n_items, size) * 0.1)
        roots = [np.sqrt(np.asarray(choices.sum(axis=axis)).clip(min=1)) for axis in (1, 0)]
        steps = sparse.diags_array(1 / roots[0]) @ choices @ sparse.diags_array(1 / roots[1])
        self.to_users, self.to_items = _tensor(steps), _tensor(steps.T)

    def forward(self) -> tuple[Tensor, Tensor]:
        """``[user, d]`` and ``[item, d]``."""
        users: list[Tensor] = [self.users]
        items: list[Tensor] = [self.items]
        for _ in range(self.n_layers):
            walked = _walk(self.to_users, self.to_items, items[-1]), _walk(self.to_items, self.to_users, users[-1])
            users.append(walked[0])
            items.append(walked[1])
        return torch.stack(users).mean(0), torch.stack(items).mean(0)


def _walk(matrix: Tensor, transposed: Tensor, vectors: Tensor) -> Tensor:
    walked: Tensor = _Product.apply(matrix, transposed, vectors)  # type: ignore[no-untyped-call]
    return walked


class _Product(torch.autograd.Function):
    """``matrix @ vectors``; its gradient needs the transposed matrix, which torch would sort out anew each time."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, vectors: Tensor) -> Tensor:
        ctx.transposed = transposed
        return matrix @ vectors

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.transposed @ gradients[0]


def _tensor(matrix: Any) -> Tensor:
    rows = matrix.tocsr().astype(np.float32)
    starts, columns, values = (torch.from_numpy(part) for part in (rows.indptr, rows.indices, rows.data))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(starts, columns, values, rows.shape, check_invariants=True)
