"""The named protocols that turn a Dataset into a Split, one file each: ``splits.get("leave-one-out")``."""

from __future__ import annotations

from typing import Any

from tastemaker.data.splits.base import SplitRule
from tastemaker.registry import Registry

__all__ = ["SplitRule", "get", "names", "registry"]

registry: Registry[SplitRule] = Registry("tastemaker.data.splits", SplitRule, "split")  # type: ignore[type-abstract]
names = registry.names
get = registry.get


def __getattr__(name: str) -> Any:
    return registry.attribute(name)
