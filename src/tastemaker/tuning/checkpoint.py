"""A stage's state between two optimiser steps -> a verified directory, and back exactly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tastemaker import artifacts
from tastemaker.errors import ArtifactError

KIND = "checkpoint"


@dataclass
class State:
    """All that changes while a stage runs. Randomness is not in it: every step draws from (seed, step) anew."""

    step: int
    """Optimiser steps done."""
    parameters: dict[str, Tensor]
    first_moment: dict[str, Tensor]
    second_moment: dict[str, Tensor]
    best: dict[str, Tensor]
    """The parameters of the best validation so far, or empty."""
    best_figure: float = float("-inf")
    best_step: int = 0
    average: dict[str, Tensor] | None = None


_TABLES = ("parameters", "first_moment", "second_moment", "best", "average")


def save(path: Path, state: State, facts: dict[str, Any]) -> None:
    """Write ``state`` to ``path``; whatever was there stays whole until the new one is."""
    arrays = {
        f"{table}:{name}": tensor.detach().cpu().float().numpy()
        for table in _TABLES
        for name, tensor in (getattr(state, table) or {}).items()
    }
    best = None if state.best_figure == float("-inf") else state.best_figure
    progress = {"step": state.step, "best_figure": best, "best_step": state.best_step, "facts": facts}
    artifacts.save(path, kind=KIND, arrays=arrays, json={"progress": progress})


def load(path: Path, facts: dict[str, Any]) -> State:
    """The state saved at ``path``. Raises `ArtifactError` if it is damaged or belongs to a run with other ``facts``."""
    artifact = artifacts.load(path, KIND)
    progress = artifact.json("progress")
    differing = sorted(k for k in {*facts, *progress["facts"]} if facts.get(k) != progress["facts"].get(k))
    if differing:
        before, now = (f"{facts_of.get(differing[0])!s:.12}" for facts_of in (progress["facts"], facts))
        raise ArtifactError(
            f"{path.name} belongs to a run with other {', '.join(differing)}; {differing[0]} was {before}, is {now}: "
            "use another directory, or delete it to start anew"
        )
    tables: dict[str, dict[str, Tensor]] = {table: {} for table in _TABLES}
    for key, array in artifact.arrays().items():
        table, name = key.split(":", 1)
        tables[table][name] = torch.from_numpy(np.array(array))
    figure = progress["best_figure"]
    return State(
        step=progress["step"],
        parameters=tables["parameters"],
        first_moment=tables["first_moment"],
        second_moment=tables["second_moment"],
        best=tables["best"],
        best_figure=float("-inf") if figure is None else figure,
        best_step=progress["best_step"],
        average=tables["average"] or None,
    )
