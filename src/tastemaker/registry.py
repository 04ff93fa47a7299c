"""A package's modules -> its named classes: a file's name is its name, so there is no list to edit."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from tastemaker.errors import UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """The classes found in a package: ``Registry("tastemaker.collab", CollaborativeModel, "model")``.

    A module ``two_words.py`` that defines one public subclass of ``base`` is known as ``two-words``. Listing
    names imports nothing. Installed packages join through the entry-point group named like the package.
    Modules whose name starts with an underscore, ``base``, and packages within the package are not listed.
    """

    def __init__(self, package: str, base: type[T], kind: str) -> None:
        self.package, self.base, self.kind = package, base, kind

    def names(self) -> list[str]:
        """All known names, sorted."""
        return sorted(self._modules)

    def get(self, name: str) -> type[T]:
        """The class of that name. Raises `UnknownNameError`, with the nearest name."""
        key = name.lower().replace("_", "-")
        if key not in self._modules:
            raise UnknownNameError(self.kind, name, self.names())
        module = importlib.import_module(self._modules[key])
        found = [
            c
            for _, c in inspect.getmembers(module, inspect.isclass)
            if c.__module__ == module.__name__ and issubclass(c, self.base) and not c.__name__.startswith("_")
        ]
        if len(found) != 1:
            raise TypeError(
                f"{module.__name__} must define exactly one public {self.base.__name__}, found {len(found)}"
            )
        return found[0]

    def name_of(self, found: type[T]) -> str:
        """The name by which ``get`` gives that class. Raises `UnknownNameError` for a class of no listed module."""
        likely = found.__module__.rpartition(".")[2].replace("_", "-")
        for name in sorted(self.names(), key=lambda name: name != likely):
            if self.get(name) is found:
                return name
        raise UnknownNameError(self.kind, found.__name__, self.names())

    def attribute(self, class_name: str) -> type[T]:
        """Module-level ``__getattr__`` for a package: ``SASRec`` finds the class in ``sasrec.py``."""
        for name in self.names():
            if name.replace("-", "") == class_name.lower():
                return self.get(name)
        raise AttributeError(f"{self.package} has no {self.kind} {class_name!r}")

    @property
    def _modules(self) -> Mapping[str, str]:
        return _listed(self.package, tuple(importlib.import_module(self.package).__path__))


@cache
def _listed(package: str, path: tuple[str, ...]) -> Mapping[str, str]:
    """The module of each name; those of installed packages win. Scanned once a process for each path."""
    found = [module.name for module in pkgutil.iter_modules(path) if not module.ispkg]
    own = {name.replace("_", "-"): f"{package}.{name}" for name in found if not name.startswith("_") and name != "base"}
    return {**own, **{entry.name: entry.module for entry in entry_points(group=package)}}
