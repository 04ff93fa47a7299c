"""leave-one-out for items nobody has touched: some items are taken out of everything but the answers to tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from pydantic import Field

from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Case, Split
from tastemaker.data.splits.leave_one_out import LeaveOneOut
from tastemaker.errors import DataError


class UnseenItems(LeaveOneOut):
    """Tests only users whose last item is withheld; no model has seen it in training, validation or a history.

    Rank the withheld items (`withheld`) against one another: a model that knows items by their interactions alone can
    only guess.
    """

    share: float = Field(default=0.1, gt=0, lt=1)
    """Of the items, drawn uniformly."""
    seed: int = 0
    """Of the draw."""

    def apply(self, dataset: Dataset) -> Split:
        """Split the dataset, k-core and all as leave-one-out does, and withhold."""
        split = super().apply(dataset)
        n_items = split.dataset.n_items
        out = np.zeros(n_items, dtype=np.bool_)
        out[np.random.default_rng(self.seed).permutation(n_items)[: max(1, round(n_items * self.share))]] = True
        test = [_without(case, out) for case in split.test if out[case.positive]]
        valid = [_without(case, out) for case in split.valid if not out[case.positive]]
        train = split.train.filter(~pl.Series(out[split.train["item"].to_numpy()]))
        kept = [tuple(case for case in cases if case.query.history) for cases in (valid, test)]
        if train.is_empty() or not kept[1]:
            raise DataError(f"{dataset.name}: nobody's last item is among those withheld; raise share")
        return replace(split, name="unseen-items", settings=self.settings(), train=train, valid=kept[0], test=kept[1])


def withheld(split: Split) -> list[int]:
    """The items that are only ever answers of such a split, and those nobody chose at all, ascending."""
    seen = np.zeros(split.dataset.n_items, dtype=np.bool_)
    seen[split.train["item"].to_numpy()] = True
    for case in (*split.valid, *split.test):
        seen[list(case.query.history)] = True
    for case in split.valid:
        seen[case.positive] = True
    return [int(item) for item in np.flatnonzero(~seen)]


def _without(case: Case, out: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Case:
    history = tuple(item for item in case.query.history if not out[item])
    return Case(replace(case.query, history=history), case.positive)
