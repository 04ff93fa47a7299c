"""A method small enough to see through: whoever watched film i is given a bonus for film i + 1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from tastemaker import artifacts, collab
from tastemaker.collab.base import CollaborativeModel
from tastemaker.config import build
from tastemaker.data.dataset import Dataset
from tastemaker.data.split import Split
from tastemaker.errors import Interrupted
from tastemaker.methods.base import Method, MethodConfig
from tastemaker.types import FloatArray, Progress, Query, quiet


class NextFilmConfig(MethodConfig):
    """How it is tuned."""

    bonus: float = Field(10.0, ge=0)
    steps: int = Field(4, ge=1)
    interrupt_at: int | None = None
    """Stop after this step, once, as a signal would."""


class NextFilm(Method):
    """Tunes in steps that can be interrupted, and leaves a log and a checkpoint as the loop does."""

    Config: ClassVar[type[MethodConfig]] = NextFilmConfig
    config: NextFilmConfig

    def __init__(self, llm: str, collab: CollaborativeModel, **settings: Any) -> None:
        self.llm, self.collab = llm, collab
        self.config = build(NextFilmConfig, settings)

    def tune(self, split: Split, *, seed: int = 0, run_dir: Path | None = None, progress: Progress = quiet) -> Self:
        self.catalogue = split.dataset
        done = run_dir and run_dir / "checkpoints" / "only" / "step"
        start = int(done.read_text()) if done and done.is_file() else 0
        for step in range(start + 1, self.config.steps + 1):
            if run_dir and done:
                done.parent.mkdir(parents=True, exist_ok=True)
                done.write_text(str(step))
                with (run_dir / "log.jsonl").open("a") as log:
                    log.write(json.dumps({"stage": "only", "step": step, "loss": 1 / step, "seed": seed}) + "\n")
            progress("NextFilm", step, self.config.steps)
            if step == self.config.interrupt_at and not start:
                raise Interrupted(f"stopped after step {step}, which is saved; repeat the command to go on")
        return self

    def score(self, queries: Sequence[Query], *, progress: Progress = quiet) -> list[FloatArray]:
        scores = []
        for query in queries:
            items = np.array(query.candidates or range(self.catalogue.n_items))
            scores.append(sum((self.config.bonus * (items == i + 1) for i in query.history[-3:]), -items / 100.0))
            progress("NextFilm", len(scores), len(queries))
        return [row.astype(np.float32) for row in scores]

    def save(self, path: Path) -> None:
        config, arrays = collab.packed(self.collab)
        own = {"config": {"llm": self.llm, **self.config.model_dump()}, "collab/config": config}
        artifacts.save(path, kind="next-film", json=own, arrays={"collab/model": arrays}, frames=self._frames())

    @classmethod
    def load(cls, path: Path) -> Self:
        found = artifacts.load(path, "next-film")
        model = collab.unpacked(found.json("collab/config"), found.arrays("collab/model"), path)
        method = cls(collab=model, **found.json("config"))
        method.catalogue = Dataset("films", found.frame("rows"), found.frame("items"), found.frame("users"))
        return method

    def _frames(self) -> dict[str, Any]:
        data = self.catalogue
        return {"rows": data.interactions.clear(), "items": data.items, "users": data.users.clear()}
