"""YAML, overrides and keyword settings -> one checked, frozen config, or one line that says which setting is wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tastemaker.artifacts import write_atomic
from tastemaker.errors import ConfigError, suggest

Config = TypeVar("Config", bound=BaseModel)

_SHOWN = 3
"""How many wrong settings one message names."""


def load_config(
    model: type[Config], path: str | os.PathLike[str] | None = None, overrides: Iterable[str] = ()
) -> Config:
    """The config in a YAML file, or its defaults, with ``a.b=c`` overrides laid over it. Raises `ConfigError`."""
    settings = {} if path is None else _read(Path(path))
    for override in overrides:
        _lay_over(settings, override)
    return build(model, settings, where="" if path is None else f"{path}: ")


def build(model: type[Config], settings: Mapping[str, Any], *, where: str = "") -> Config:
    """The config these settings make. Raises `ConfigError` in one line, with the setting that was probably meant.

    >>> build(Training, {"epoch": 3})
    ConfigError: epoch: no such setting; did you mean 'epochs'?
    """
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        lines = [_one_line(model, detail) for detail in found[:_SHOWN]]
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ConfigError(where + "; ".join(lines) + more) from None


def parse_overrides(overrides: Iterable[str]) -> dict[str, Any]:
    """``["tuning.epochs=3"]`` as ``{"tuning": {"epochs": 3}}``; values are read as YAML. Raises `ConfigError`."""
    settings: dict[str, Any] = {}
    for override in overrides:
        _lay_over(settings, override)
    return settings


def dump_config(config: BaseModel) -> str:
    """YAML that `load_config` reads back to an equal config, every default written out."""
    return yaml.dump(config.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False)


def write_config(path: str | os.PathLike[str], config: BaseModel) -> None:
    """``path`` holds the resolved config, so that a run can be repeated from it alone."""
    write_atomic(path, dump_config(config).encode())


class _Loader(yaml.SafeLoader):
    """YAML as people expect it: ``1e-3`` is a number and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key.value, str) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes the words that `_Loader` would take for numbers."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read ({reason})") from error
    settings = _yaml(text, str(path))
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: must be 'setting: value' lines, not a {type(settings).__name__}")
    return settings


def _yaml(text: str, where: str) -> Any:
    try:
        return _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{where}{line}: not YAML ({getattr(error, 'problem', None) or 'malformed'})") from error


def _lay_over(settings: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    *parents, last = key.strip().split(".")
    if not equals or not last or not all(parents):
        raise ConfigError(f"override {override!r}: write it as setting=value or group.setting=value")
    for depth, name in enumerate(parents):
        settings = settings.setdefault(name, {})
        if not isinstance(settings, dict):
            raise ConfigError(f"override {override!r}: {'.'.join(parents[: depth + 1])} is a value, not a group")
    try:
        settings[last] = _yaml(value, f"override {override!r}")
    except ConfigError as error:
        raise ConfigError(f"{error}; text with punctuation wants quotes of its own: '{key}=\"{value}\"'") from error


def _one_line(model: type[BaseModel], detail: ErrorDetails) -> str:
    place = ".".join(str(part) for part in detail["loc"]) or "settings"
    if detail["type"] == "extra_forbidden":
        *parents, last = detail["loc"]
        return f"{place}: no such setting; {suggest(str(last), _known(model, parents))}"
    if detail["type"] == "missing":
        return f"{place}: must be given"
    message = detail["msg"].removeprefix("Value error, ")
    given = "" if isinstance(detail["input"], dict | BaseModel) else f", not {repr(detail['input'])[:40]}"
    return f"{place}: {message[:1].lower()}{message[1:]}{given}"


def _known(model: type[BaseModel], parents: Iterable[int | str]) -> list[str]:
    """The settings of the group that ``parents`` lead to; names inside lists and unions lead through them."""
    models = [model]
    for name in parents:
        inner = [m.model_fields[str(name)].annotation for m in models if str(name) in m.model_fields]
        models = [found for annotation in inner for found in _models_in(annotation)] or models
    return [field for found in models for field in found.model_fields]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]
