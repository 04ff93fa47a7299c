"""A run's config and its split -> a trained Recommender, stage by stage, none of them done twice.

Several processes tune together; what is fitted and written before and after is the main one's work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tastemaker import collab, methods, processes
from tastemaker.cli._runs import LOG, MODEL, ModelConfig, RunConfig, finish_run
from tastemaker.collab import pointwise
from tastemaker.collab.base import CollaborativeModel
from tastemaker.data.preference import PreferenceSplit
from tastemaker.data.split import Split
from tastemaker.recommend import Recommender
from tastemaker.types import Progress

if TYPE_CHECKING:
    from tastemaker.methods._preference import PreferenceMethod

RETRIEVER = "cooccurrence"
"""What proposes items to a method that answers yes or no."""


def train_run(config: RunConfig, split: Split, folder: Path, progress: Progress) -> Recommender:
    """What the config describes, trained on the split and saved in ``folder``; goes on where a run was stopped."""
    if config.collab is None:
        named = ModelConfig(name=config.train, settings=config.settings)
        retriever = fit_model(named, split, config.seed, logged(folder / LOG, progress))
        recommender = Recommender(retriever, data=split)
    else:
        wanted = config.collab
        kept = folder / "collab"
        retriever = processes.main_first(
            lambda: kept_model(kept, lambda: fit_model(wanted, split, config.seed, progress))
        )
        method: Callable[..., methods.Method] = methods.registry.get(config.train)
        ranker = method(llm=config.llm, collab=retriever, **config.settings)
        ranker.tune(split, seed=config.seed, run_dir=folder, progress=progress)
        recommender = Recommender(retriever, ranker, split)
    processes.by_main(lambda: finish(recommender, folder))
    return recommender


def train_judge(config: RunConfig, split: PreferenceSplit, folder: Path, progress: Progress) -> Recommender:
    """The same for a method that answers yes or no, over a retriever that counts what was liked."""
    settings = dict(config.settings)
    if config.collab is not None:
        kept, wanted = folder / "collab", config.collab
        processes.by_main(lambda: keep_encoder(kept, wanted, split, config.seed, progress))
        settings["collab"] = collab.load_pointwise(kept)
    method: Any = methods.registry.get(config.train)
    ranker: PreferenceMethod = method(llm=config.llm, **settings)
    ranker.tune(split, seed=config.seed, run_dir=folder, progress=progress)
    liked = liked_split(split)
    retriever = collab.models.get(RETRIEVER)().fit(liked, seed=config.seed, progress=progress)
    recommender = Recommender(retriever, ranker, liked)
    processes.by_main(lambda: finish(recommender, folder))
    return recommender


def finish(recommender: Recommender, folder: Path) -> None:
    """The run as it is left: what recommends, and nothing that only training needed."""
    recommender.save_pretrained(folder / MODEL)
    finish_run(folder)


def liked_split(split: PreferenceSplit) -> Split:
    """What was liked, as things chosen; what training may see of it, to learn from."""
    liked = {(row.query.user, row.item) for rows in (split.train, split.valid, split.test) for row in rows if row.liked}
    seen = pl.DataFrame(sorted((u, i) for u, i in liked if u is not None), ["user", "item"], orient="row")
    keys = [pl.col(name).cast(pl.Int32) for name in ("user", "item")]
    rows = split.dataset.interactions.join(seen.select(keys), on=["user", "item"], how="semi", maintain_order="left")
    data = split.dataset.with_interactions(rows, f"Kept {rows.height:,} interactions, those that were liked.")
    known = pl.DataFrame(
        sorted((row.query.user, row.item) for row in split.train if row.liked and row.query.user is not None),
        ["user", "item"],
        orient="row",
    )
    train = rows.join(known.select(keys), on=["user", "item"], how="semi", maintain_order="left")
    return Split(data, split.name, split.settings, train, (), ())


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


def keep_encoder(path: Path, wanted: ModelConfig, split: PreferenceSplit, seed: int, progress: Progress) -> None:
    """At ``path`` there is the encoder, fitted."""
    if not (path / "manifest.json").is_file():
        encoder = pointwise.models.get(wanted.name)(**wanted.settings)
        collab.save_model(path, encoder.fit(split, seed=seed, progress=progress))


def logged(path: Path, progress: Progress) -> Progress:
    """The same progress, with each report of a validation figure kept as a line of the training log."""
    path.unlink(missing_ok=True)

    def both(task: str, done: float, total: float | None = None, note: str = "") -> None:
        progress(task, done, total, note)
        if found := re.fullmatch(r"validation (?:\S+ )?([\d.]+)", note):
            with path.open("a", encoding="utf-8") as log:
                log.write(json.dumps({"stage": task, "step": done, "valid": float(found[1])}) + "\n")

    return both
