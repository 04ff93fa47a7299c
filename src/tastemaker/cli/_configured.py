"""A config file, options and -o settings -> one RunConfig, the later ones laid over the earlier."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tastemaker import collab
from tastemaker.cli._options import group
from tastemaker.cli._runs import RunConfig, judge
from tastemaker.config import build, load_config, parse_overrides
from tastemaker.errors import ConfigError, UsageError

DATA, LLM, COLLAB = "ml-100k", "smollm2-135m", "ensemble"
"""What is meant where nothing is said."""


def configured(file: Path | None, given: Mapping[str, Any], overrides: Iterable[str]) -> RunConfig:
    """``given``: any of train, data, path, split, llm, collab, seed, None where not said. Raises `ConfigError`."""
    said = {key: value for key, value in given.items() if value is not None}
    base = load_config(RunConfig, file).model_dump() if file is not None else {}
    if "train" not in {**base, **said}:
        raise UsageError("say what to train: a method such as llara, a model such as sasrec, or --config FILE")
    settings = parse_overrides(overrides)
    groups = {name: group(settings, name) for name in ("collab", "split", "data")}
    run: dict[str, Any] = {"settings": {}, "data": {"name": DATA}, **base}
    run |= {key: said[key] for key in ("train", "llm", "seed") if key in said}
    if base and run["train"] != base["train"]:
        run["settings"] = {}
    run["settings"] = _over(run["settings"], settings)
    run["data"] = _data(run["data"], said, groups)
    if run["train"] in collab.models.names():
        for name in ("llm", "collab"):
            if name in said or groups.get(name):
                raise ConfigError(f"{run['train']} is a collaborative model; {name} is for methods")
        run |= {"llm": None, "collab": None}
    else:
        run["llm"] = run.get("llm") or LLM
        judges = judge(run["train"])
        if judges is None or judges.encodes or run.get("collab") or "collab" in said or groups["collab"]:
            usual = {"name": COLLAB if judges is None else judges.usual, "settings": {}}
            run["collab"] = _collab(run.get("collab") or usual, said, groups["collab"])
    return build(RunConfig, run)


def _data(data: dict[str, Any], said: Mapping[str, Any], groups: Mapping[str, Any]) -> dict[str, Any]:
    changed = bool(said.keys() & {"data", "split"} or groups["split"] or groups["data"])
    if "data" in said and said["data"] != data["name"]:
        data = {"name": said["data"]}
    if "split" in said and said["split"] != data.get("split"):
        data = {**data, "split": said["split"], "settings": {}}
    if "path" in said:
        data = {**data, "path": str(said["path"])}
    data = {**data, "settings": _over(data.get("settings", {}), groups["split"])}
    data = {**data, "options": _over(data.get("options", {}), groups["data"])}
    return {**data, "hash": None} if changed else data


def _collab(model: dict[str, Any], said: Mapping[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    if "collab" in said and said["collab"] != model["name"]:
        model = {"name": said["collab"], "settings": {}}
    return {**model, "settings": _over(model["settings"], settings)}


def _over(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The new settings laid over the old, group by group."""

    def one(name: str, value: Any) -> Any:
        groups = isinstance(value, Mapping) and isinstance(old.get(name), Mapping)
        return _over(old[name], value) if groups else value

    return {**old, **{name: one(name, value) for name, value in new.items()}}
