"""Methods by name: ``methods.registry.get("llara")`` or ``methods.LLaRA``."""

from __future__ import annotations

from typing import Any

from tastemaker.methods.base import Method, MethodConfig
from tastemaker.registry import Registry

registry: Registry[Method] = Registry("tastemaker.methods", Method, "method")  # type: ignore[type-abstract]


def __getattr__(name: str) -> Any:
    return registry.attribute(name)


__all__ = ["Method", "MethodConfig", "registry"]
