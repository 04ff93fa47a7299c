"""A model's norms, gated layers and rotary attention -> the same functions in fewer passes over memory.

In bf16 on a CPU, matrix products are so fast that most of a plain forward pass, and more of the way back, goes into
reading and writing what lies between them. Each function here keeps what its way back needs and nothing else. A module
is replaced only if it is made of the parts it is known for and gives the same numbers when tried.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from tastemaker.llm import attention

Forward = Callable[..., Any]


def install(model: PreTrainedModel) -> bool:
    """Whether the model runs on our attention now; what else it has of the modules below is replaced in any case."""
    ours = attention.install(model)
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        for fits, forward, asked in _KNOWN:
            if fits(module) and (ours or forward is not _attend):
                _replace(module, forward, asked(module, generator))
    return ours


class _Norm(torch.autograd.Function):
    """``x / rms(x) * weight`` (Zhang and Sennrich 2019), the weight frozen."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        exact = torch.promote_types(x.dtype, torch.float32)
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=exact)
        scale = norm.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        found: Tensor = (x * scale.to(x.dtype)).mul_(weight)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        weighted = gradient * weight
        along = (weighted * x).sum(-1, keepdim=True, dtype=scale.dtype)
        shrink = (along * scale**3 / x.shape[-1]).to(x.dtype)
        return weighted.mul_(scale.to(x.dtype)).addcmul_(x, shrink, value=-1), None, None


class _Gate(torch.autograd.Function):
    """``silu(gate) * up`` (Shazeer 2020)."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        return torch.ops.aten.silu_backward(gradient * up, gate), functional.silu(gate).mul_(gradient)


class _Rotation(torch.autograd.Function):
    """Each pair of coordinates turned by its angle (Su et al. 2021): ``[..., width]``, pairs half a width apart."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        ctx.save_for_backward(cosine, sine)
        return _turned(x, cosine, sine, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        cosine, sine = ctx.saved_tensors
        return _turned(gradient, cosine, sine, -1), None, None


def _turned(x: Tensor, cosine: Tensor, sine: Tensor, way: int) -> Tensor:
    """The rotation, or with ``way`` -1 its transpose; both halves of an angle's sine are the same."""
    out = x * cosine
    (first, second), (to_first, to_second) = x.chunk(2, -1), out.chunk(2, -1)
    half = sine[..., : sine.shape[-1] // 2]
    to_first.addcmul_(second, half, value=-way)
    to_second.addcmul_(first, half, value=way)
    return out


def _normalise(self: Any, hidden_states: Tensor) -> Tensor:
    found: Tensor = _Norm.apply(hidden_states, self.weight, self.variance_epsilon)  # type: ignore[no-untyped-call]
    return found


def _pass_gated(self: Any, x: Tensor) -> Tensor:
    found: Tensor = self.down_proj(_Gate.apply(self.gate_proj(x), self.up_proj(x)))  # type: ignore[no-untyped-call]
    return found


def _attend(
    self: Any,
    hidden_states: Tensor,
    position_embeddings: tuple[Tensor, Tensor],
    attention_mask: Tensor | None = None,
    past_key_values: Any = None,
    **options: Any,
) -> tuple[Tensor, None]:
    heads = (*hidden_states.shape[:-1], -1, self.head_dim)
    cosine, sine = (table.unsqueeze(1) for table in position_embeddings)
    query, key, value = (
        project(hidden_states).view(heads).transpose(1, 2) for project in (self.q_proj, self.k_proj, self.v_proj)
    )
    query, key = (_Rotation.apply(x, cosine, sine) for x in (query, key))  # type: ignore[no-untyped-call]
    if past_key_values is not None:
        key, value = past_key_values.update(key, value, self.layer_idx)
    dropout = self.attention_dropout if self.training else 0.0
    seen, _ = attention.attention(
        self, query, key, value, attention_mask, dropout=dropout, scaling=self.scaling, **options
    )
    return self.o_proj(seen.flatten(2)), None


def _is_norm(module: nn.Module) -> bool:
    own = [name for name, _ in module.named_parameters()]
    return own == ["weight"] and hasattr(module, "variance_epsilon")


def _is_gated(module: nn.Module) -> bool:
    parts = [name for name, _ in module.named_children()]
    return parts[:3] == ["gate_proj", "up_proj", "down_proj"] and parts[3:] in ([], ["act_fn"])


def _is_attention(module: nn.Module) -> bool:
    parts = [name for name, _ in module.named_children()]
    facts = ("head_dim", "scaling", "layer_idx", "attention_dropout")
    return parts == ["q_proj", "k_proj", "v_proj", "o_proj"] and all(hasattr(module, fact) for fact in facts)


def _for_norm(module: Any, generator: torch.Generator) -> tuple[Any, ...]:
    return (_like(module.weight, (2, 3, module.weight.shape[0]), generator),)


def _for_gated(module: Any, generator: torch.Generator) -> tuple[Any, ...]:
    return (_like(module.gate_proj.weight, (2, 3, module.gate_proj.weight.shape[1]), generator),)


def _for_attention(module: Any, generator: torch.Generator) -> tuple[Any, ...]:
    weight = module.q_proj.weight
    angles = torch.rand(2, 3, module.head_dim // 2, generator=generator).repeat(1, 1, 2)
    tables = tuple(table.to(weight) for table in (angles.cos(), angles.sin()))
    return _like(weight, (2, 3, weight.shape[1]), generator), tables, None


def _like(weight: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator).to(weight)


_KNOWN: tuple[tuple[Callable[[nn.Module], bool], Forward, Callable[..., tuple[Any, ...]]], ...] = (
    (_is_norm, _normalise, _for_norm),
    (_is_gated, _pass_gated, _for_gated),
    (_is_attention, _attend, _for_attention),
)
"""What a module is known by, what replaces its forward pass, and what to try both with."""


@torch.no_grad()
def _replace(module: nn.Module, forward: Forward, asked: tuple[Any, ...]) -> None:
    """Run the module on ``forward`` if that gives what the module's own does."""
    own, ours = (next(_tensors(run(*asked))) for run in (module.forward, types.MethodType(forward, module)))
    tolerance = 1e-4 if own.dtype == torch.float32 else 3e-2
    if own.shape == ours.shape and torch.allclose(own, ours, rtol=tolerance, atol=tolerance * float(own.abs().max())):
        module.forward = types.MethodType(forward, module)


def _tensors(found: Any) -> Iterator[Tensor]:
    yield from (found if isinstance(found, tuple) else (found,))
