"""A fitted collaborative model -> settings and arrays that can be saved, alone or inside something larger, and back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tastemaker import artifacts
from tastemaker.collab import models, pointwise
from tastemaker.collab.base import CollaborativeModel, Learned
from tastemaker.config import build
from tastemaker.errors import ArtifactError, UsageError
from tastemaker.registry import Registry
from tastemaker.types import Item, Query, User

KIND, POINTWISE = "collaborative-model", "pointwise-model"
Arrays = dict[str, np.ndarray[Any, Any]]
M = TypeVar("M", bound=Learned)


def save_model(path: str | os.PathLike[str], model: Learned) -> None:
    """``path`` is a verified directory of ``config.json`` and ``model.safetensors``. Raises `ArtifactError`."""
    config, arrays = packed(model)
    kind = POINTWISE if isinstance(model, pointwise.PointwiseModel) else KIND
    artifacts.save(path, kind=kind, json={"config": config}, arrays={"model": arrays})


def load_model(path: str | os.PathLike[str]) -> CollaborativeModel:
    """The model that `save_model` wrote, with the same scores. Raises `ArtifactError`."""
    found = artifacts.load(path, KIND)
    return unpacked(found.json("config"), found.arrays("model"), path)


def load_pointwise(path: str | os.PathLike[str]) -> pointwise.PointwiseModel:
    """The model of yes/no questions that `save_model` wrote, with the same scores. Raises `ArtifactError`."""
    found = artifacts.load(path, POINTWISE)
    return unpacked_pointwise(found.json("config"), found.arrays("model"), path)


def packed(model: Learned) -> tuple[dict[str, Any], Arrays]:
    """What to write as JSON and what as arrays: for artefacts of which the model is a part.

    >>> config, arrays = packed(sasrec)
    >>> artifacts.save(path, kind="llara", json={"collab/config": config}, arrays={"collab/model": arrays})
    """
    arrays = model.state()
    names = pointwise.models.name_of if isinstance(model, pointwise.PointwiseModel) else models.name_of
    about = _About(
        name=names(type(model)),  # type: ignore[arg-type]
        n_items=len(model.item_counts),
        settings=model.config.model_dump(mode="json"),
    )
    return about.model_dump(), arrays


def unpacked(config: Any, arrays: Mapping[str, np.ndarray[Any, Any]], where: object = "model") -> CollaborativeModel:
    """Undo `packed`. Nothing in it is trusted: raises `ArtifactError`, with ``where``, unless all of it fits."""
    model, n_items = _restored(models, config, arrays, where)
    known = Item(int(np.flatnonzero(model.known_items)[0]))
    with _fitting(where):
        scores = model.score([Query(history=(known,)), Query(history=())])
    if scores.shape != (2, n_items) or not np.isfinite(scores).all():
        raise ArtifactError(f"{where}: it does not score its {n_items} items; save it again")
    return model


def unpacked_pointwise(
    config: Any, arrays: Mapping[str, np.ndarray[Any, Any]], where: object = "model"
) -> pointwise.PointwiseModel:
    """Undo `packed` of a model of yes/no questions, as strictly."""
    model, n_items = _restored(pointwise.models, config, arrays, where)
    everything = tuple(Item(item) for item in range(n_items))
    known = Item(int(np.flatnonzero(model.known_items)[0]))
    asked = [Query((), everything), Query((known,), everything, User(0), likes=(True,))]
    with _fitting(where):
        scores = np.array(model.score(asked))
    if scores.shape != (2, n_items) or not np.isfinite(scores).all():
        raise ArtifactError(f"{where}: it does not score its {n_items} items; save it again")
    return model


def _restored(
    among: Registry[M], config: Any, arrays: Mapping[str, np.ndarray[Any, Any]], where: object
) -> tuple[M, int]:
    """The model with its arrays, and how many items it says it has."""
    try:
        about = _About.model_validate(config)
        kind = among.get(about.name)
        model = kind(build(kind.Config, about.settings))
    except (ValidationError, UsageError) as error:
        raise ArtifactError(f"{where}: not a model that this version knows ({_first_line(error)})") from error
    counts = arrays.get("item_counts", np.empty(0))
    if counts.shape != (about.n_items,) or counts.dtype.kind not in "iu" or not (counts >= 0).all() or not counts.any():
        raise ArtifactError(f"{where}: its counts are not those of {about.n_items} items; save it again")
    with _fitting(where):
        model.restore(dict(arrays))
    return model, about.n_items


@contextlib.contextmanager
def _fitting(where: object) -> Iterator[None]:
    """Whatever arrays of other shapes may raise is an `ArtifactError`."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ArtifactError(f"{where}: its arrays do not fit its settings ({_first_line(error)})") from error


class _About(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    n_items: int = Field(ge=1)
    settings: dict[str, Any]


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]
