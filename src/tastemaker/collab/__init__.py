"""Collaborative models by name: ``collab.models.get("sasrec")`` or ``collab.SASRec``; saved and loaded."""

from __future__ import annotations

from typing import Any

from tastemaker.collab.base import CollabConfig, CollaborativeModel
from tastemaker.registry import Registry

models: Registry[CollaborativeModel] = Registry("tastemaker.collab", CollaborativeModel, "collaborative model")  # type: ignore[type-abstract]

from tastemaker.collab._store import (  # noqa: E402 - looks models up by name
    load_model,
    load_pointwise,
    packed,
    save_model,
    unpacked,
    unpacked_pointwise,
)


def __getattr__(name: str) -> Any:
    return models.attribute(name)


__all__ = [
    "CollabConfig",
    "CollaborativeModel",
    "load_model",
    "load_pointwise",
    "models",
    "packed",
    "save_model",
    "unpacked",
    "unpacked_pointwise",
]
