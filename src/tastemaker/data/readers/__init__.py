"""The file formats tastemaker reads, one file each: ``readers.names()``, ``readers.get("ml-100k")``."""

from __future__ import annotations

from typing import Any

from tastemaker.data.readers.base import Reader, SplitReader
from tastemaker.registry import Registry

__all__ = ["Reader", "SplitReader", "get", "names", "registry"]

registry: Registry[Reader] = Registry("tastemaker.data.readers", Reader, "dataset or format")  # type: ignore[type-abstract]
names = registry.names
get = registry.get


def __getattr__(name: str) -> Any:
    return registry.attribute(name)
