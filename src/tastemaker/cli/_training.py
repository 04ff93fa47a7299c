"""A run's config and its split -> a trained Recommender, stage by stage, none of them done twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from tastemaker import collab, methods
from tastemaker.cli._runs import LOG, MODEL, ModelConfig, RunConfig, finish_run
from tastemaker.collab.base import CollaborativeModel
from tastemaker.data.split import Split
from tastemaker.recommend import Recommender
from tastemaker.types import Progress


def train_run(config: RunConfig, split: Split, folder: Path, progress: Progress) -> Recommender:
    """What the config describes, trained on the split and saved in ``folder``; goes on where a run was stopped."""
    if config.collab is None:
        named = ModelConfig(name=config.train, settings=config.settings)
        retriever = fit_model(named, split, config.seed, logged(folder / LOG, progress))
        recommender = Recommender(retriever, data=split)
    else:
        wanted = config.collab
        kept = folder / "collab"
        retriever = kept_model(kept, lambda: fit_model(wanted, split, config.seed, progress))
        method: Callable[..., methods.Method] = methods.registry.get(config.train)
        ranker = method(llm=config.llm, collab=retriever, **config.settings)
        ranker.tune(split, seed=config.seed, run_dir=folder, progress=progress)
        recommender = Recommender(retriever, ranker, split)
    recommender.save_pretrained(folder / MODEL)
    finish_run(folder)
    return recommender


def fit_model(model: ModelConfig, split: Split, seed: int, progress: Progress) -> CollaborativeModel:
    """The collaborative model, fitted."""
    return collab.models.get(model.name)(**model.settings).fit(split, seed=seed, progress=progress)


def kept_model(path: Path, fit: Callable[[], CollaborativeModel]) -> CollaborativeModel:
    """The model saved at ``path``, or, the first time, the one that ``fit`` gives, saved there."""
    if (path / "manifest.json").is_file():
        return collab.load_model(path)
    model = fit()
    collab.save_model(path, model)
    return model


def logged(path: Path, progress: Progress) -> Progress:
    """The same progress, with each report of a validation figure kept as a line of the training log."""
    path.unlink(missing_ok=True)

    def both(task: str, done: float, total: float | None = None, note: str = "") -> None:
        progress(task, done, total, note)
        if found := re.fullmatch(r"validation (?:\S+ )?([\d.]+)", note):
            with path.open("a", encoding="utf-8") as log:
                log.write(json.dumps({"stage": task, "step": done, "valid": float(found[1])}) + "\n")

    return both
