"""A Recommender's parts -> one verified directory in the shape model hubs know, and back."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tastemaker import artifacts, atomic, collab, methods
from tastemaker.artifacts import Artifact
from tastemaker.collab.base import CollaborativeModel
from tastemaker.data import frames
from tastemaker.data.dataset import Dataset
from tastemaker.errors import ArtifactError, UnknownNameError, UsageError
from tastemaker.methods.base import Method

KIND = "recommender"
MODEL_FOLDER = "model"
"""Where the directory of a training run has its recommender."""


class Config(BaseModel):
    """What ``config.json`` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    library: str = "tastemaker"
    version: str = ""
    data: str
    """The dataset's name."""
    retriever: dict[str, Any]
    ranker: str | None
    """The method's name; its settings are in ``ranker/``."""
    n_candidates: int = Field(ge=1)


def save(
    path: str | os.PathLike[str],
    retriever: CollaborativeModel,
    ranker: Method | None,
    data: Dataset,
    n_candidates: int,
    *,
    histories: bool = True,
) -> None:
    """Write them to ``path``, whole or not at all. Raises `ArtifactError`."""
    about, arrays = collab.packed(retriever if histories else retriever.without_users())
    name = None if ranker is None else methods.registry.name_of(type(ranker))
    config = Config(version=_version(), data=data.name, retriever=about, ranker=name, n_candidates=n_candidates)
    with tempfile.TemporaryDirectory(prefix="tastemaker-") as folder:
        parts = {} if ranker is None else {"ranker": Path(folder) / "ranker"}
        if ranker is not None:
            (ranker if histories else ranker.without_users()).save(parts["ranker"])
        artifacts.save(
            path,
            kind=KIND,
            json={"config": config.model_dump()},
            arrays={"model": arrays},
            frames={"items": data.items, "histories": _histories(data) if histories else _histories(data).clear()},
            parts=parts,
            card=_card(config, data),
        )


def load(path: str | os.PathLike[str]) -> tuple[CollaborativeModel, Method | None, Dataset, int]:
    """What `save` wrote, from its directory or from the run's that has it in ``model``. Raises `ArtifactError`."""
    root = locate(path)
    found = artifacts.load(root, KIND)
    try:
        config = Config.model_validate(found.json("config"))
        ranker = None if config.ranker is None else methods.registry.get(config.ranker)
    except (ValidationError, UnknownNameError) as error:
        reason = str(error).partition("\n")[0]
        raise ArtifactError(f"{path}: not a recommender that this version knows ({reason})") from error
    data = _dataset(config.data, found)
    retriever = collab.unpacked(config.retriever, found.arrays("model"), path)
    try:
        loaded = None if ranker is None else ranker.load(atomic.find_directory(root) / "ranker")
    except UsageError as error:
        raise ArtifactError(f"{path}: its ranker is not one that this version reads ({error})") from error
    if len(retriever.item_counts) != data.n_items or (loaded and loaded.catalogue.n_items != data.n_items):
        raise ArtifactError(f"{path}: its parts are of different catalogues; save it again")
    return retriever, loaded, data, config.n_candidates


def locate(path: str | os.PathLike[str]) -> Path:
    """Where the recommender is: at ``path``, or in the ``model`` folder of the run that is there."""
    inside = Path(path) / MODEL_FOLDER
    whole = (atomic.find_directory(path) / "manifest.json").is_file()
    return inside if not whole and atomic.find_directory(inside).is_dir() else Path(path)


def fingerprint(path: str | os.PathLike[str]) -> str:
    """SHA-256 of all that is saved there, by way of its manifest: the same recommender has the same."""
    return hashlib.sha256((atomic.find_directory(locate(path)) / "manifest.json").read_bytes()).hexdigest()


def _histories(data: Dataset) -> pl.DataFrame:
    seen = [data.history(user).tolist() for user in range(data.n_users)]
    return pl.DataFrame({"user_id": data.users["user_id"], "items": pl.Series(seen, dtype=pl.List(pl.Int32))})


def _dataset(name: str, found: Artifact) -> Dataset:
    """The catalogue and the histories as a dataset without ratings and times."""
    items, histories = found.frame("items"), found.frame("histories")
    try:
        users = histories.select("user_id")
        rows = histories.select(pl.int_range(pl.len(), dtype=pl.Int32).alias("user"), item="items").explode("item")
        rows = rows.drop_nulls().with_columns(rating=pl.lit(None, pl.Float32), time=pl.lit(None, pl.Int64))
        nobody = rows.is_empty()
        somebody = _ANYBODY.select(pl.lit("").alias("user_id"))
        frames.check_numbered(_ANYBODY if nobody else rows, somebody if nobody else users, items)
        repeated = users["user_id"].is_duplicated().any() or items["item_id"].is_duplicated().any()
    except (ValueError, pl.exceptions.PolarsError) as error:
        reason = str(error).partition("\n")[0]
        raise ArtifactError(f"{found.path}: its items and histories are not what they should be ({reason})") from error
    if repeated:
        raise ArtifactError(f"{found.path}: an id occurs twice among its users or items")
    return Dataset(name, rows, items, users)


_ANYBODY = pl.DataFrame(
    {"user": [0], "item": [0], "rating": [None], "time": [None]},
    schema={"user": pl.Int32, "item": pl.Int32, "rating": pl.Float32, "time": pl.Int64},
)
"""Stands for the interactions where nobody's were saved, so that the items are checked all the same."""


def _card(config: Config, data: Dataset) -> str:
    """What the hub shows and a person reads first."""
    retriever = config.retriever["name"]
    ranker = "" if config.ranker is None else f", re-ranked by a language model ({config.ranker})"
    return f"""---
library_name: tastemaker
tags: [recommendation, {retriever}{f", {config.ranker}" if config.ranker else ""}]
datasets: [{json.dumps(data.name)}]
---

# Recommendations for {" ".join(data.name.split())}

A recommender of {data.n_items:,} items: {retriever} proposes {config.n_candidates}{ranker}.

    import tastemaker as tm

    rec = tm.Recommender.from_pretrained("PATH OF THIS DIRECTORY")
    rec.recommend(histories=[["{data.items["item_id"][0]}"]], n=10)

Saved by tastemaker {config.version}. `histories.parquet` holds what known users have chosen; to publish a recommender
without it, save it with `histories=False`.
"""


def _version() -> str:
    try:
        return version("tastemaker")
    except PackageNotFoundError:  # a source tree on the path, not installed
        return "0"
