"""A language model -> the same with LoRA matrices: attached, trained fast, merged for inference, saved as peft does."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear as PeftLinear
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from tastemaker.errors import ArtifactError, LanguageModelError
from tastemaker.types import FloatArray

if TYPE_CHECKING:
    from tastemaker.llm.local import LocalLM

ADAPTER = "default"
PREFIX = "base_model.model."
"""What peft puts before the names of modules in its files."""


def attach(
    lm: LocalLM,
    *,
    r: int = 8,
    alpha: float = 16.0,
    dropout: float = 0.0,
    targets: str | Sequence[str] = "all-linear",
    generator: torch.Generator,
) -> list[nn.Parameter]:
    """The new trainable parameters, fp32: two matrices on every linear layer but the head, or on those named.

    The model computes as before until they are trained, since the second matrix of each pair starts at zero.
    Raises `LanguageModelError` if the model has adapters already (`detach` takes them off) or lacks the targets.
    """
    if _layers(lm):
        raise LanguageModelError(f"{lm.name} has adapters already; detach them first")
    conv = any(isinstance(module, Conv1D) for module in lm.model.modules())
    config = LoraConfig(
        r=r,
        lora_alpha=alpha,  # type: ignore[arg-type, unused-ignore]
        lora_dropout=dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        fan_in_fan_out=conv,
        task_type="CAUSAL_LM",
    )
    try:
        with torch.random.fork_rng(devices=[]):  # peft draws from the global generator; ours decides below
            inject_adapter_in_model(config, lm.model, adapter_name=ADAPTER)
    except ValueError as e:
        detach(lm)
        raise LanguageModelError(f"{lm.name}: {e}") from e
    for layer in _layers(lm).values():
        if type(layer) is PeftLinear and type(layer.get_base_layer()) is nn.Linear:
            layer.__class__ = FastLinear
            layer.total = None
    lm.adapted = [layer for layer in _layers(lm).values() if isinstance(layer, FastLinear)]
    lm.model.train(lm.model.training)  # new layers come in training mode
    lm.model.requires_grad_(False)
    parameters = _parameters(lm)
    for name, parameter in parameters.items():
        parameter.data = parameter.data.float()
        parameter.requires_grad_(True)
        if ".lora_A." in name:
            _draw(parameter, generator)
        else:
            nn.init.zeros_(parameter)
    return list(parameters.values())


def detach(lm: LocalLM) -> None:
    """Take all adapters off; the model is what it was before they came."""
    for name, layer in _layers(lm).items():
        parent, _, child = name.rpartition(".")
        setattr(lm.model.get_submodule(parent), child, layer.get_base_layer())
    lm.adapted = []
    if hasattr(lm.model, "peft_config"):
        del lm.model.peft_config


@contextlib.contextmanager
def merged(lm: LocalLM) -> Iterator[None]:
    """For as long as the block lasts, adapters are part of the weights: inference at full speed, without gradients.

    Afterwards the very same weights are back, to the bit. Costs the memory of a second copy of the adapted weights.
    """
    refresh(lm)
    originals: dict[PeftLinear, Tensor] = {}
    try:
        with torch.no_grad():
            for layer in _layers(lm).values():
                if isinstance(layer, PeftLinear) and not layer.merged:
                    weight = layer.get_base_layer().weight
                    originals[layer] = weight.data
                    weight.data = _merged_weight(layer)
                    layer.merged_adapters.append(ADAPTER)
        yield
    finally:
        for layer, original in originals.items():
            layer.get_base_layer().weight.data = original
            layer.merged_adapters.clear()


def adapter_state(lm: LocalLM) -> dict[str, FloatArray]:
    """The matrices by the names peft gives them in ``adapter_model.safetensors``."""
    return {_file_name(name): p.detach().cpu().numpy().copy() for name, p in _parameters(lm).items()}


def adapter_config(lm: LocalLM) -> dict[str, object]:
    """What peft keeps in ``adapter_config.json``, so that its own tools read what we save."""
    config = lm.model.peft_config[ADAPTER].to_dict()
    config["target_modules"] = sorted(config["target_modules"])
    config["inference_mode"] = True
    plain: dict[str, object] = json.loads(json.dumps(config, default=str))
    return plain


def load_adapter_state(lm: LocalLM, state: Mapping[str, FloatArray]) -> None:
    """Set the attached matrices. Raises `ArtifactError` if any is missing, unknown, of another shape or not finite."""
    parameters = {_file_name(name): parameter for name, parameter in _parameters(lm).items()}
    if missing := sorted(parameters.keys() - state.keys()):
        raise ArtifactError(
            f"the adapter lacks {missing[0]} and {len(missing) - 1} more; it was made for another model"
        )
    if unknown := sorted(state.keys() - parameters.keys()):
        raise ArtifactError(f"the adapter has {unknown[0]} and {len(unknown) - 1} more that {lm.name} has no place for")
    for name, parameter in parameters.items():
        if state[name].shape != tuple(parameter.shape):
            shapes = f"{list(state[name].shape)}, expected {list(parameter.shape)}"
            raise ArtifactError(f"the adapter's {name} has shape {shapes}; it was made for another model or rank")
        if not np.isfinite(state[name]).all():
            raise ArtifactError(f"the adapter's {name} holds numbers that are not finite")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.from_numpy(np.asarray(state[name], dtype=np.float32)))


class FastLinear(PeftLinear):  # type: ignore[misc, unused-ignore]
    """peft's own LoRA layer, run as one linear layer whose weight is the sum, where that gives the same result."""

    total: Tensor | None
    """``W + s B A`` in the numbers of ``W``; `refresh` keeps it up to date."""
    summed: tuple[int, ...]
    """Which state of the matrices it is the sum of."""

    def forward(self, x: Tensor, *args: Any, **options: Any) -> Tensor:
        """The layer's output in the layer's own numbers."""
        dropping = self.training and isinstance(self.lora_dropout[ADAPTER], nn.Dropout)
        fast = self.total is not None and not (args or options or self.merged or self.disable_adapters or dropping)
        if not fast or torch.is_autocast_enabled(x.device.type):
            slow: Tensor = super().forward(x, *args, **options)
            return slow
        bias = self.get_base_layer().bias
        first, second = self.lora_A[ADAPTER].weight, self.lora_B[ADAPTER].weight
        out: Tensor = _Sum.apply(x, self.total, first, second, float(self.scaling[ADAPTER]))  # type: ignore[no-untyped-call]
        return out if bias is None else out + bias


def refresh(lm: LocalLM) -> None:
    """Make the summed weights those of the matrices as they are now; nothing, if none has changed since.

    Once per optimiser step instead of twice per layer and micro-batch, for the memory of a second copy of the
    adapted weights, which inference wants anyway.
    """
    for layer in lm.adapted:
        first, second = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
        state = (first._version, second._version, first.data_ptr(), second.data_ptr())
        if layer.total is None or layer.summed != state:
            with torch.no_grad():
                weight = layer.get_base_layer().weight
                # A new tensor each time: the way back of an earlier pass may still need the old one.
                layer.total = torch.addmm(
                    weight, second.to(weight.dtype), first.to(weight.dtype), alpha=float(layer.scaling[ADAPTER])
                )
            layer.summed = state


class _Sum(torch.autograd.Function):
    """``x (W + s B A)^T`` with gradients for x, A and B: only the small matrices ever change their type."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, total: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(x, total, a, b)
        ctx.scale = scale
        return functional.linear(x, total)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, total, a, b = ctx.saved_tensors
        back = gradient @ total if ctx.needs_input_grad[0] else None
        rows, inputs = gradient.flatten(0, -2), x.flatten(0, -2)
        for_a = (rows @ b.to(rows.dtype)).T @ inputs
        for_b = rows.T @ (inputs @ a.to(inputs.dtype).T)
        return back, None, for_a.to(a.dtype) * ctx.scale, for_b.to(b.dtype) * ctx.scale, None


def _merged_weight(layer: PeftLinear) -> Tensor:
    if isinstance(layer, FastLinear) and layer.total is not None:
        return layer.total
    weight: Tensor = layer.get_base_layer().weight
    whole: Tensor = weight + layer.get_delta_weight(ADAPTER).to(weight.dtype)
    return whole


def _draw(parameter: nn.Parameter, generator: torch.Generator) -> None:
    """LoRA's own start for its first matrix, uniform in +-1/sqrt(inputs), the same on every device."""
    bound = 1.0 / math.sqrt(parameter.shape[1])
    drawn = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
    with torch.no_grad():
        parameter.copy_(drawn)


def _layers(lm: LocalLM) -> dict[str, LoraLayer]:
    return {name: module for name, module in lm.model.named_modules() if isinstance(module, LoraLayer)}


def _parameters(lm: LocalLM) -> dict[str, nn.Parameter]:
    return {name: p for name, p in lm.model.named_parameters() if ".lora_A." in name or ".lora_B." in name}


def _file_name(name: str) -> str:
    return PREFIX + name.replace(f".{ADAPTER}.", ".")
