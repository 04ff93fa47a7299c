"""What to train and on what -> a run's directory, from which it can be repeated, resumed and evaluated."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from tastemaker import collab, methods
from tastemaker.artifacts import write_atomic
from tastemaker.collab import pointwise
from tastemaker.collab.base import Learned
from tastemaker.config import build, dump_config, load_config
from tastemaker.data import AnySplit, PreferenceSplit, comes_split, load_dataset, load_split, splits
from tastemaker.data.split import Split
from tastemaker.errors import ConfigError, UnknownNameError, UsageError
from tastemaker.types import Progress

if TYPE_CHECKING:
    from tastemaker.methods._preference import PreferenceMethod

JUDGED = "time-quantiles"
"""How data is split for methods that answer yes or no, unless they are told."""
CONFIG, LOG, MODEL = "config.yaml", "log.jsonl", "model"
OURS = ("checkpoints", "collab", LOG, MODEL)
"""What training leaves beside the config."""


class DataConfig(BaseModel):
    """Which data, and how it is split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """A dataset's name, or a path."""
    path: str | None = None
    """Where a named dataset's files are, if they were not fetched."""
    options: dict[str, Any] = {}
    """Of the reader."""
    split: str | None = None
    """A split's name; None: the one the dataset comes with, or leave-one-out."""
    settings: dict[str, Any] = {}
    """Of the split."""
    hash: str | None = None
    """Of the split that came out; where it is given, another one is refused."""


class ModelConfig(BaseModel):
    """A collaborative model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    settings: dict[str, Any] = {}


class RunConfig(BaseModel):
    """One training run, whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: str
    """A method, or a collaborative model."""
    settings: dict[str, Any] = {}
    """Of what is trained."""
    data: DataConfig
    llm: str | None = None
    """The language model under a method."""
    collab: ModelConfig | None = None
    """The collaborative model under a method, which is also its retriever."""
    seed: int = Field(0, ge=0)

    def resolved(self) -> RunConfig:
        """The same with every default written out. Raises `UnknownNameError` or `ConfigError`, before any work."""
        _ = self.data.split and splits.get(self.data.split)
        if self.train in collab.models.names():
            model = _resolved_model(ModelConfig(name=self.train, settings=self.settings))
            return self.model_copy(update={"settings": model.settings, "llm": None, "collab": None})
        if self.train not in methods.registry.names():
            known = [*methods.registry.names(), *collab.models.names()]
            raise UnknownNameError("method or collaborative model", self.train, known)
        judges = judge(self.train)
        if self.llm is None or (self.collab is None and (judges is None or judges.encodes)):
            raise ConfigError(f"{self.train} needs a language model (llm) and a collaborative model (collab)")
        if self.collab is not None and judges is not None and not judges.encodes:
            raise ConfigError(f"{self.train} reads no vectors; leave collab out")
        settings = build(methods.registry.get(self.train).Config, self.settings, where=f"{self.train}: ")
        update: dict[str, Any] = {"settings": settings.model_dump(mode="json")}
        _require_known(self.llm)
        if self.collab is not None:
            wants = methods.registry.get(self.train).wants_vectors(settings) if judges is None else judges.encodes
            update["collab"] = _resolved_model(self.collab, judges=judges is not None, for_=self.train if wants else "")
        if judges is not None and self.data.split is None and not comes_split(self.data.name):
            update["data"] = self.data.model_copy(update={"split": JUDGED})
        return self.model_copy(update=update)

    def with_hash(self, split: AnySplit) -> RunConfig:
        """The same, bound to that split. Raises `UsageError` if it is bound to another."""
        if self.data.hash not in (None, split.hash):
            raise UsageError(f"{self.data.name} is not the data of that config any more; its hash differs")
        return self.model_copy(update={"data": self.data.model_copy(update={"hash": split.hash})})


def split_of(config: DataConfig, progress: Progress) -> Split:
    """The split that the config describes. Raises `UsageError` if it asks yes-or-no questions, not what comes next."""
    split = any_split_of(config, progress)
    if isinstance(split, PreferenceSplit):
        raise UsageError(f"the split {split.name} of {config.name} asks what is liked, not what comes next")
    return split


def any_split_of(config: DataConfig, progress: Progress) -> AnySplit:
    """The split that the config describes: one the data comes with, or one made of it."""
    if config.split is None and comes_split(config.name):
        if config.settings:
            raise ConfigError(f"{config.name} is split already; settings of a split need --split")
        return load_split(config.name, config.path, progress, **config.options)
    dataset = load_dataset(config.name, config.path, progress, **config.options)
    return dataset.split(config.split or "leave-one-out", **config.settings)


def open_run(folder: Path, config: RunConfig, *, overwrite: bool) -> bool:
    """Whether that very run is finished already; otherwise ``folder`` is ready for it to begin or to go on.

    Raises `UsageError` for a directory that holds another run, or things of someone else, unless ``overwrite``; and
    even then nothing is removed but what a run left, and a directory that was saved as a whole is left alone.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; choose another --out")
    if (folder / "manifest.json").is_file():
        raise UsageError(f"{folder} holds something that was saved, and is no run; choose another --out")
    found = read_run(folder)
    if found is None and folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise UsageError(f"{folder} is not empty and holds no run; choose another --out, or add --overwrite")
    difference = found and _difference(found, config)
    if difference and not overwrite:
        raise UsageError(f"{folder} holds another run ({difference}); choose another --out, or add --overwrite")
    if found is not None and overwrite:
        for name in OURS:
            _remove(folder / name)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / CONFIG, dump_config(config).encode())
    return found is not None and (folder / MODEL / "manifest.json").is_file()


def finish_run(folder: Path) -> None:
    """Remove what only a run that goes on would need."""
    for name in ("checkpoints", "collab"):
        _remove(folder / name)


def read_run(folder: Path) -> RunConfig | None:
    """What was trained there, if it was a run. Raises `ConfigError` for a config that is none."""
    return load_config(RunConfig, folder / CONFIG) if (folder / CONFIG).is_file() else None


def judge(name: str) -> type[PreferenceMethod] | None:
    """The method of that name, if it answers yes or no."""
    if name not in methods.registry.names():
        return None  # a collaborative model, for which nobody waits until the libraries of language models are loaded
    from tastemaker.methods._preference import PreferenceMethod

    found = methods.registry.get(name)
    return found if issubclass(found, PreferenceMethod) else None


def _require_known(llm: str) -> None:
    from tastemaker.llm.zoo import require_known  # loads the libraries of language models

    require_known(llm)


def _resolved_model(model: ModelConfig, *, judges: bool = False, for_: str = "") -> ModelConfig:
    """The model with every default; ``for_``: the method, if it wants item vectors of it."""
    kind: type[Learned] = pointwise.models.get(model.name) if judges else collab.models.get(model.name)
    if for_ and not kind.lends_vectors():
        raise ConfigError(f"{for_} reads item vectors, and {model.name} has none; take a neural model such as sasrec")
    return ModelConfig(name=model.name, settings=kind(**model.settings).config.model_dump(mode="json"))


def _difference(old: RunConfig, new: RunConfig) -> str:
    """The first setting in which they differ, except where the files were; empty if they agree."""
    before, after = (_flat(c.model_dump(mode="json", exclude={"data": {"path"}})) for c in (old, new))
    # The hash differs whenever anything else about the data does: name that first.
    for key in sorted(before.keys() | after.keys(), key=lambda key: (key == "data.hash", key)):
        if before.get(key) != after.get(key):
            return f"{key} was {before.get(key)!r}, is now {after.get(key)!r}"
    return ""


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, one in value.items():
        flat |= _flat(one, f"{prefix}{key}.") if isinstance(one, dict) and one else {f"{prefix}{key}": one}
    return flat


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
