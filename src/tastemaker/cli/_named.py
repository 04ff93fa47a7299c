"""Everything that goes by a name and has settings -> those settings."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from tastemaker import collab, methods
from tastemaker.collab import pointwise
from tastemaker.config import build
from tastemaker.data import splits
from tastemaker.errors import UnknownNameError
from tastemaker.evaluate.protocols import registry as protocols

POINTWISE = "pointwise."
"""Goes before the name of a model that says what is liked: some are named like one that says what comes next."""


def named() -> dict[str, list[str]]:
    """What there is, by kind."""
    return {
        "methods": methods.registry.names(),
        "collaborative models": collab.models.names(),
        "pointwise models": [f"{POINTWISE}{name}" for name in pointwise.models.names()],
        "splits": splits.names(),
        "protocols": protocols.names(),
    }


def settings_of(name: str, given: dict[str, Any]) -> BaseModel:
    """The settings of that name, the given ones laid over the defaults. Raises `UnknownNameError` or `ConfigError`.

    ``leave-one-out`` is both a split and a protocol: the split has the settings. Methods win over their protocols.
    """
    key = name.lower().replace("_", "-")
    kinds = named()
    if key in kinds["methods"]:
        return build(methods.registry.get(key).Config, given)
    if key in kinds["collaborative models"]:
        return collab.models.get(key)(**given).config
    if key in kinds["pointwise models"] or POINTWISE + key in kinds["pointwise models"]:
        return pointwise.models.get(key.removeprefix(POINTWISE))(**given).config
    if key in kinds["splits"]:
        return build(splits.get(key), given)
    if key in kinds["protocols"]:
        return build(protocols.get(key), given)
    raise UnknownNameError("method, model, split or protocol", name, {n for names in kinds.values() for n in names})
