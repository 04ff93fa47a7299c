"""A file's name is its name: classes are found in packages without a list."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastemaker.errors import UnknownNameError
from tastemaker.registry import Registry


class Shape:
    pass


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry[Shape]]:
    package = tmp_path / "shapes_for_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "base.py").write_text("")
    (package / "inner").mkdir()
    (package / "inner" / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "_helper.py").write_text("raise RuntimeError('imported')")
    (package / "round_square.py").write_text(
        f"from {__name__.split('.')[-1]}_base import Shape\n"
        "class RoundSquare(Shape): pass\nclass _Hidden(Shape): pass\n"
    )
    (package / "two.py").write_text(
        f"from {__name__.split('.')[-1]}_base import Shape\nclass A(Shape): pass\nclass B(Shape): pass\n"
    )
    (package / "broken.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, f"{__name__.split('.')[-1]}_base", sys.modules[__name__])
    yield Registry("shapes_for_test", Shape, "shape")
    for name in [name for name in sys.modules if name.startswith("shapes_for_test")]:
        del sys.modules[name]


def test_names_are_file_names_and_listing_imports_nothing(shapes: Registry[Shape]) -> None:
    assert shapes.names() == ["broken", "round-square", "two"]


def test_a_folder_is_read_once_and_another_folder_is_seen(
    shapes: Registry[Shape], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = []
    real = pkgutil.iter_modules
    monkeypatch.setattr(pkgutil, "iter_modules", lambda path: scans.append(path) or real(path))
    before = shapes.names()
    for _ in range(3):
        assert shapes.names() == before
    assert len(scans) == 1
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "oval.py").write_text("")
    package = importlib.import_module(shapes.package)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / "more")])
    assert shapes.names() == sorted([*before, "oval"])


@pytest.mark.parametrize("name", ["round-square", "round_square", "Round-Square"])
def test_a_class_is_found_however_its_name_is_spelled(shapes: Registry[Shape], name: str) -> None:
    assert shapes.get(name).__name__ == "RoundSquare"


def test_a_class_is_an_attribute_of_its_package(shapes: Registry[Shape]) -> None:
    assert shapes.attribute("RoundSquare") is shapes.get("round-square")
    with pytest.raises(AttributeError, match="has no shape 'Triangle'"):
        shapes.attribute("Triangle")


def test_an_unknown_name_offers_the_nearest(shapes: Registry[Shape]) -> None:
    with pytest.raises(UnknownNameError, match="no shape named 'round-sqare'; did you mean 'round-square'"):
        shapes.get("round-sqare")


@pytest.mark.parametrize("name", ["_helper", "base", "__init__", "", ".", "..", "os", "two.A", "../two"])
def test_only_listed_files_are_imported(shapes: Registry[Shape], name: str) -> None:
    with pytest.raises(UnknownNameError):
        shapes.get(name)


def test_a_file_with_two_classes_is_the_programmers_error(shapes: Registry[Shape]) -> None:
    with pytest.raises(TypeError, match="exactly one public Shape, found 2"):
        shapes.get("two")


def test_a_class_tells_its_name_and_a_stranger_has_none(shapes: Registry[Shape]) -> None:
    for name in ("broken", "two"):
        (Path(importlib.import_module(shapes.package).__path__[0]) / f"{name}.py").unlink()
    assert shapes.name_of(shapes.get("round-square")) == "round-square"
    with pytest.raises(UnknownNameError, match="no shape named 'Shape'"):
        shapes.name_of(Shape)
