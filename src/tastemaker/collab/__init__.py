"""Collaborative models by name: ``collab.models.get("sasrec")`` or ``collab.SASRec``."""

from __future__ import annotations

from typing import Any

from tastemaker.collab.base import CollabConfig, CollaborativeModel
from tastemaker.registry import Registry

models: Registry[CollaborativeModel] = Registry("tastemaker.collab", CollaborativeModel, "collaborative model")  # type: ignore[type-abstract]


def __getattr__(name: str) -> Any:
    return models.attribute(name)


__all__ = ["CollabConfig", "CollaborativeModel", "models"]
