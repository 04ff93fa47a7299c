"""What tuned methods share: their settings, the language model as it came, adapters on it, what validation asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from pydantic import Field, model_validator

from tastemaker import processes
from tastemaker.config import build
from tastemaker.data.split import Case
from tastemaker.errors import ConfigError, LanguageModelError
from tastemaker.llm import adapters
from tastemaker.llm.local import LocalLM
from tastemaker.methods.base import MethodConfig
from tastemaker.types import Progress


class TunedConfig(MethodConfig):
    """Settings that all of them have. ``mode="faithful"`` changes the defaults; what is given stays as given."""

    FAITHFUL: ClassVar[dict[str, Any]] = {}
    """What the paper or its code does."""

    mode: Literal["default", "faithful"] = "default"
    """``default`` is what validation chose; ``faithful`` is the paper."""
    layers: int | None = Field(12, ge=1)
    """Depth of the language model that is used, counted from below; None: all of it."""
    lora_r: int = Field(8, ge=1)
    lora_alpha: float = Field(16.0, gt=0)
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    learning_rate: float = Field(1e-3, gt=0)
    epochs: float = Field(5.0, ge=0)
    accumulate: int = Field(1, ge=1)
    """Micro-batches of an optimiser step, in each process."""
    max_steps: int | None = Field(None, ge=0)
    """Ends each stage early; 0 leaves the model untuned (zero-shot)."""
    average: float | None = Field(0.98, gt=0, lt=1)
    """Decay of the moving average of the parameters; None: none."""
    validate_every: int = Field(50, ge=1)

    @property
    def per_step(self) -> int:
        """Micro-batches of an optimiser step, those of all processes."""
        return self.accumulate * processes.count()

    @classmethod
    def changed(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """The defaults that these settings change."""
        return cls.FAITHFUL if given.get("mode") == "faithful" else {}

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        return {**cls.changed(given), **given} if isinstance(given, dict) else given


Config = TypeVar("Config", bound=TunedConfig)


def settled(kind: type[Config], method: str, config: Config | None, settings: Mapping[str, Any]) -> Config:
    """The method's config as given, or the one that the settings make. Raises `ConfigError`."""
    if config is not None and settings:
        raise ConfigError(f"{method}: give a config or settings ({', '.join(settings)}), not both")
    return config if config is not None else build(kind, settings, where=f"{method.lower()}: ")


def pristine(llm: str | LocalLM, layers: int | None, progress: Progress) -> LocalLM:
    """The language model as it came, without adapters, cut to the depth asked for.

    Raises `LanguageModelError` if it was cut to less before.
    """
    found = LocalLM.load(llm, progress=progress) if isinstance(llm, str) else llm
    adapters.detach(found)
    wanted = found.depth if layers is None else min(layers, found.depth)
    if found.config.num_hidden_layers < wanted:
        raise LanguageModelError(
            f"{found.name} was cut to {found.config.num_hidden_layers} of its {found.depth} layers before, and "
            f"{wanted} are wanted; load it anew"
        )
    if layers is not None:
        found.keep_layers(layers)
    return found


def attached(
    llm: LocalLM, config: TunedConfig, seed: int, targets: str | Sequence[str] = "all-linear"
) -> dict[str, torch.nn.Parameter]:
    """New adapters, by number: what trains in the language model."""
    trained = adapters.attach(
        llm,
        r=config.lora_r,
        alpha=config.lora_alpha,
        dropout=config.lora_dropout,
        targets=targets,
        generator=torch.Generator().manual_seed(seed),
    )
    return {f"{number:04d}": parameter for number, parameter in enumerate(trained)}


def sampled(cases: Sequence[Case], most: int) -> list[Case]:
    """The validation cases that are asked, the same ones every time."""
    if len(cases) <= most:
        return list(cases)
    chosen = np.random.default_rng(0).choice(len(cases), most, replace=False)
    return [cases[i] for i in np.sort(chosen)]
