"""How much the language model counts beside the collaborative one, chosen where catalogues are large."""

from __future__ import annotations

import numpy as np
import pytest

from tastemaker.methods import llara
from tastemaker.methods._timeline import TimelineReading
from tastemaker.methods.llara import LLaRA
from tastemaker.testing.methods import N_ITEMS, chains, under


def test_the_weight_is_chosen_without_all_scores_of_all_cases_at_once(monkeypatch):
    split, sizes = chains(), []

    def score(self, queries, progress=None):
        sizes.append(len(queries))
        return np.array([np.cos(np.arange(N_ITEMS) * (1 + len(q.history))) for q in queries], dtype=np.float32)

    monkeypatch.setattr(TimelineReading, "score", score)
    method = LLaRA("nothing is loaded", under())
    method.catalogue, method.reading = split.dataset, object.__new__(TimelineReading)
    whole = method._chosen_weight(split)
    monkeypatch.setattr(llara, "CELLS", 3 * N_ITEMS, raising=False)
    sizes.clear()
    assert method._chosen_weight(split) == pytest.approx(whole)
    assert max(sizes) == 3
    assert sum(sizes) == len(split.valid)
