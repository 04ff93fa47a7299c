"""Models of yes/no questions by name: ``pointwise.models.get("mf")`` is the class in ``mf.py``; saved as the others."""

from __future__ import annotations

from typing import Any

from tastemaker.collab.base import CollabConfig
from tastemaker.collab.pointwise.base import PointwiseModel
from tastemaker.registry import Registry

models: Registry[PointwiseModel] = Registry("tastemaker.collab.pointwise", PointwiseModel, "pointwise model")  # type: ignore[type-abstract]


def __getattr__(name: str) -> Any:
    return models.attribute(name)


__all__ = ["CollabConfig", "PointwiseModel", "models"]
