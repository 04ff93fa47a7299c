"""Protocols by name, one file each: ``protocol("llara")``, ``Llara(draws=20)``."""

from __future__ import annotations

from tastemaker.evaluate.protocols.base import ListProtocol, PreferenceProtocol, Protocol
from tastemaker.registry import Registry

__all__ = ["ListProtocol", "PreferenceProtocol", "Protocol", "protocol", "registry"]

registry = Registry("tastemaker.evaluate.protocols", Protocol, "protocol")  # type: ignore[type-abstract]
__getattr__ = registry.attribute


def protocol(name: str) -> Protocol:
    """The preset of that name with its own settings. Raises `UnknownNameError`."""
    return registry.get(name)()
