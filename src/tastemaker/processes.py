"""Several processes that tune one model, as torchrun or ``accelerate launch`` start them -> one that acts for all.

Where no launcher has started several there is one process, and nothing here imports or costs anything. What all of
them call must be called by all of them, in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from tastemaker.errors import TastemakerError, TrainingError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
PATIENCE = timedelta(days=30)
"""How long processes wait while one fits a model, fetches or writes; one that has ended is noticed at once."""


def count() -> int:
    """How many processes the launcher has started, this one among them."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1


def index() -> int:
    """Which of them this is, from 0: the main one, which alone writes and speaks."""
    return int(os.environ["RANK"]) if count() > 1 else 0


def local_index() -> int:
    """Which of those on this machine it is, from 0: on accelerate's terms the number of its GPU."""
    return int(os.environ["LOCAL_RANK"]) if count() > 1 else 0


def together(work: Callable[[], T]) -> list[T]:
    """What ``work`` gives in each process, in their order; where it fails in one, it fails in all.

    There it raises what it raised, in the others `TrainingError`. ``work`` itself must not wait for the others.
    """
    if count() == 1:
        return [work()]
    import torch.distributed as dist

    found: T | None = None
    failure: BaseException | None = None
    words: str | None = None
    group = _connected()
    try:
        found = work()
    except BaseException as error:
        ours = isinstance(error, TastemakerError)
        failure, words = error, str(error) if ours else f"{type(error).__name__} {error}".strip()
    told: list[Any] = [None] * count()
    try:
        dist.all_gather_object(told, (found, words), group=group)
    except RuntimeError as error:
        raise failure or TrainingError("another process has ended, and has said why, if it could") from error
    if failure is not None:
        raise failure
    for number, (_, words) in enumerate(told):
        if words is not None:
            raise TrainingError(f"process {number} failed: {words}")
    return [one for one, _ in told]


def by_main(work: Callable[[], T]) -> T:
    """What ``work`` gives in the main process, which alone does it while the others wait."""
    return together(lambda: work() if index() == 0 else None)[0]  # type: ignore[return-value]


def main_first(work: Callable[[], T]) -> T:
    """What ``work`` gives here, done in the main process before the others, which find what it has written."""
    found: list[T] = []
    by_main(lambda: found.append(work()))
    together(lambda: None if found else found.append(work()))
    return found[0]


def require_same(facts: Callable[[], dict[str, object]]) -> None:
    """Nothing, if the facts are the same in all processes; else `TrainingError`, in all of them."""
    if count() == 1:
        return
    main, *others = together(facts)
    for number, other in enumerate(others, start=1):
        if differing := sorted(key for key in {*main, *other} if main.get(key) != other.get(key)):
            raise TrainingError(
                f"process {number} differs from process 0 in {', '.join(differing)}; give all of them the same data, "
                "models, settings and directory"
            )


def mean(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The mean of each tensor over all processes."""
    if count() == 1:
        return tensors
    from accelerate.utils import reduce

    _connected()
    averaged: dict[str, Tensor] = reduce(tensors, "mean")
    return averaged


@cache
def _connected() -> Any:
    """All processes, over the CPU: what they agree on is small, and waiting there is no matter of a GPU's patience.

    Tensors go over accelerate's own connection.
    """
    import torch
    from accelerate import PartialState

    # Unless it is told to use CPUs where there is no GPU, accelerate takes every process for the only one.
    state = PartialState(cpu=not torch.cuda.is_available())
    if state.num_processes != count():
        raise TrainingError(
            f"{count()} processes were started that know nothing of each other; make no PartialState or Accelerator "
            "before, or one with cpu=True where there is no GPU"
        )
    return torch.distributed.new_group(backend="gloo", timeout=PATIENCE)
