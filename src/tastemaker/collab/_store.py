"""A fitted collaborative model -> settings and arrays that can be saved, alone or inside something larger, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tastemaker import artifacts
from tastemaker.collab import models
from tastemaker.collab.base import CollaborativeModel
from tastemaker.config import build
from tastemaker.errors import ArtifactError, UsageError
from tastemaker.types import Item, Query

KIND = "collaborative-model"
Arrays = dict[str, np.ndarray[Any, Any]]


def save_model(path: str | os.PathLike[str], model: CollaborativeModel) -> None:
    """``path`` is a verified directory of ``config.json`` and ``model.safetensors``. Raises `ArtifactError`."""
    config, arrays = packed(model)
    artifacts.save(path, kind=KIND, json={"config": config}, arrays={"model": arrays})


def load_model(path: str | os.PathLike[str]) -> CollaborativeModel:
    """The model that `save_model` wrote, with the same scores. Raises `ArtifactError`."""
    found = artifacts.load(path, KIND)
    return unpacked(found.json("config"), found.arrays("model"), path)


def packed(model: CollaborativeModel) -> tuple[dict[str, Any], Arrays]:
    """What to write as JSON and what as arrays: for artefacts of which the model is a part.

    >>> config, arrays = packed(sasrec)
    >>> artifacts.save(path, kind="llara", json={"collab/config": config}, arrays={"collab/model": arrays})
    """
    arrays = model.state()
    about = _About(
        name=models.name_of(type(model)), n_items=len(model.item_counts), settings=model.config.model_dump(mode="json")
    )
    return about.model_dump(), arrays


def unpacked(config: Any, arrays: Mapping[str, np.ndarray[Any, Any]], where: object = "model") -> CollaborativeModel:
    """Undo `packed`. Nothing in it is trusted: raises `ArtifactError`, with ``where``, unless all of it fits."""
    try:
        about = _About.model_validate(config)
        kind = models.get(about.name)
        model = kind(build(kind.Config, about.settings))
    except (ValidationError, UsageError) as error:
        raise ArtifactError(f"{where}: not a model that this version knows ({_first_line(error)})") from error
    counts = arrays.get("item_counts", np.empty(0))
    if counts.shape != (about.n_items,) or counts.dtype.kind not in "iu" or not (counts >= 0).all() or not counts.any():
        raise ArtifactError(f"{where}: its counts are not those of {about.n_items} items; save it again")
    try:
        model.restore(dict(arrays))
        known = Item(int(np.flatnonzero(model.known_items)[0]))
        scores = model.score([Query(history=(known,)), Query(history=())])
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ArtifactError(f"{where}: its arrays do not fit its settings ({_first_line(error)})") from error
    if scores.shape != (2, about.n_items) or not np.isfinite(scores).all():
        raise ArtifactError(f"{where}: it does not score its {about.n_items} items; save it again")
    return model


class _About(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    n_items: int = Field(ge=1)
    settings: dict[str, Any]


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]
