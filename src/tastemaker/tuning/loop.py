"""A Stage -> trained parameters: the one loop, with checkpoints, exact resume, NaN stop and SIGTERM.

It runs in one process or in several that share a step's micro-batches. What ends it ends it in all of them.
"""

from __future__ import annotations

import hashlib
import json
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tastemaker import processes
from tastemaker.atomic import find_directory
from tastemaker.errors import Interrupted, TrainingError
from tastemaker.tuning import checkpoint
from tastemaker.tuning.checkpoint import State
from tastemaker.tuning.stages import Stage
from tastemaker.types import Progress, quiet


@dataclass(frozen=True)
class Outcome:
    """How a stage went."""

    steps: int
    best_figure: float | None
    """The best validation figure, whose parameters are in place now; None without validation."""
    best_step: int
    seconds: float


def run(
    stage: Stage,
    *,
    seed: int = 0,
    run_dir: Path | None = None,
    save_every: int = 100,
    progress: Progress = quiet,
) -> Outcome:
    """Train ``stage`` to its end and leave the best (or last) parameters in place.

    With ``run_dir``: ``log.jsonl`` and a checkpoint every ``save_every`` steps are written there, and a run that was
    stopped goes on from its last checkpoint to bitwise the same result. SIGTERM and SIGINT save first and raise
    `Interrupted`. Raises `TrainingError` on a loss or gradient that is not finite. Of several processes, which must
    all be given the same, the main one writes, and a signal to one is a signal to all.
    """
    started = time.monotonic()
    facts = {**stage.facts, "stage": stage.name, "steps": stage.steps, "seed": seed}
    if (many := processes.count()) > 1:
        facts["processes"] = many
    folder = None if run_dir is None else run_dir / "checkpoints" / stage.name
    optimizer = _Optimizer(stage)
    log = _Log(None if run_dir is None or processes.index() else run_dir / "log.jsonl", stage.name)
    processes.together(lambda: optimizer.resume(folder, facts))
    processes.require_same(lambda: {**facts, "directory": folder is not None, **optimizer.digests()})
    log.cut(optimizer.state.step)
    batches = _Batches(stage, seed)
    with _signals() as stopped:
        while (step := optimizer.state.step) < stage.steps:
            loss = optimizer.advance(batches.of_step(step), seed)
            figure = _validated(stage, optimizer)
            note = f"loss {loss:.4f}" + ("" if figure is None else f", validation {figure:.4f}")
            log.write(step=step + 1, loss=loss, rate=stage.rate(step), seconds=time.monotonic() - started, valid=figure)
            progress(stage.name, step + 1, stage.steps, note)
            stop = any(processes.together(lambda: bool(stopped)))
            if folder is not None and (stop or step + 1 == stage.steps or (step + 1) % save_every == 0):
                processes.by_main(lambda: checkpoint.save(folder, optimizer.state, facts))
                stop = any(processes.together(lambda: bool(stopped)))  # a signal may have come meanwhile
            if stop:
                kept = "; run the same command to go on" if folder is not None else ""
                raise Interrupted(f"stopped at step {step + 1} of {stage.steps}{kept}")
    optimizer.finish()
    state = optimizer.state
    best = state.best_figure if state.best else None
    return Outcome(state.step, best, state.best_step, time.monotonic() - started)


class _Batches:
    """Micro-batches by optimiser step, a pure function of the seed: epoch e is drawn from (seed, e)."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self._stage, self._seed = stage, seed
        self._epochs: list[int] = []
        self._current: tuple[int, Sequence[Any]] = (-1, ())

    def of_step(self, step: int) -> list[Any]:
        """This process's share of the step's micro-batches."""
        many = processes.count()
        first = step * self._stage.accumulate * many + processes.index()
        return [self._at(first + i * many) for i in range(self._stage.accumulate)]

    def _at(self, number: int) -> Any:
        epoch, start = 0, 0
        while True:
            if epoch == len(self._epochs):
                self._epochs.append(len(self._epoch(epoch)))
            if number < start + self._epochs[epoch]:
                return self._epoch(epoch)[number - start]
            start, epoch = start + self._epochs[epoch], epoch + 1

    def _epoch(self, epoch: int) -> Sequence[Any]:
        if self._current[0] != epoch:
            batches = self._stage.epoch(np.random.default_rng([self._seed, epoch]))
            if not batches:
                raise TrainingError(f"stage {self._stage.name} has no training examples; is the train split empty?")
            self._current = (epoch, batches)
        return self._current[1]


class _Optimizer:
    """AdamW (Loshchilov and Hutter 2019), or Adam, over named fp32 masters, so that its state is plain tensors."""

    EPSILON = 1e-8

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.named = stage.parameters
        self.groups = [(f"{g}/{n}", group) for g, group in stage.groups.items() for n in group.parameters]
        masters = {name: p.detach().float().clone() for name, p in self.named.items()}
        zeros = {name: torch.zeros_like(m) for name, m in masters.items()}
        self.state = State(
            step=0,
            parameters=masters,
            first_moment=zeros,
            second_moment={name: z.clone() for name, z in zeros.items()},
            best={},
            average=None if stage.average is None else {name: m.clone() for name, m in masters.items()},
        )

    def resume(self, folder: Path | None, facts: dict[str, Any]) -> None:
        """Go on from the checkpoint in ``folder``, if there is one."""
        if folder is not None and find_directory(folder).exists():
            self._put(checkpoint.load(folder, facts))

    def digests(self) -> dict[str, object]:
        """What tells this state from another, in a few words."""
        values = {name: p.cpu().numpy() for name, p in self.state.parameters.items()}
        hashes = {name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in sorted(values.items())}
        return {"step of the checkpoint": self.state.step, "parameters to begin with": hashes}

    def _put(self, state: State) -> None:
        device = {name: p.device for name, p in self.named.items()}
        for table in (state.parameters, state.first_moment, state.second_moment, state.best, state.average or {}):
            for name in table:
                table[name] = table[name].to(device[name])
        self.state = state
        self.place(state.parameters)

    @torch.no_grad()
    def place(self, values: dict[str, Tensor]) -> None:
        """Copy ``values`` into the parameters the model computes with."""
        for name, parameter in self.named.items():
            parameter.copy_(values[name])

    def advance(self, batches: Sequence[Any], seed: int) -> float:
        """One optimiser step of all processes; the mean loss of its micro-batches."""
        losses = processes.together(lambda: self._backward(batches, seed))
        self._update()
        return fmean(losses)

    def _backward(self, batches: Sequence[Any], seed: int) -> float:
        """Gradients of this process's micro-batches; their mean loss."""
        stage, step = self.stage, self.state.step
        for parameter in self.named.values():
            parameter.requires_grad_(True)
            parameter.grad = None
        total = 0.0
        with torch.random.fork_rng(devices=[]):
            # Seeded by the step, dropout needs no saved state for a resumed run to draw the same.
            drawn = [seed, step, *([processes.index()] if processes.index() else [])]
            torch.manual_seed(int(np.random.SeedSequence(drawn).generate_state(1)[0]))
            for batch in batches:
                loss = stage.loss(batch, step / stage.steps)
                if not torch.isfinite(loss):
                    raise TrainingError(
                        f"stage {stage.name}, step {step + 1}: the loss is {loss.item()}; lower the learning rate"
                    )
                (loss / len(batches)).backward()
                total += loss.item() / len(batches)
        return total

    @torch.no_grad()
    def _update(self) -> None:
        state, stage = self.state, self.stage
        # In the stage's own order: a loaded state has another, and sums of floats depend on it.
        gradients = processes.mean({name: _gradient(parameter) for name, parameter in self.named.items()})
        norm = torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients.values()]))
        if not torch.isfinite(norm):
            raise TrainingError(
                f"stage {stage.name}, step {state.step + 1}: a gradient is not finite; lower the learning rate"
            )
        scale = 1.0 if stage.clip is None else min(1.0, stage.clip / (norm.item() + 1e-12))
        (b1, b2), rate = stage.betas, stage.rate(state.step)
        state.step += 1
        for name, group in self.groups:
            gradient = gradients[name].mul_(scale)
            mean, square, master = state.first_moment[name], state.second_moment[name], state.parameters[name]
            if stage.decoupled:
                master.mul_(1 - group.learning_rate * rate * group.weight_decay)
            else:
                gradient.add_(master, alpha=group.weight_decay)
            mean.lerp_(gradient, 1 - b1)
            square.mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
            root = (square / (1 - b2**state.step)).sqrt_().add_(self.EPSILON)
            master.addcdiv_(mean, root, value=-group.learning_rate * rate / (1 - b1**state.step))
            if state.average is not None and stage.average is not None:
                # Early on the average would remember the start: let it forget faster (Polyak averaging's usual ramp).
                state.average[name].lerp_(master, 1 - min(stage.average, state.step / (state.step + 10)))
        self.place(state.parameters)

    def finish(self) -> None:
        """Leave the best, averaged or last parameters in place, without gradients."""
        self.place(self.state.best or self.state.average or self.state.parameters)
        for parameter in self.named.values():
            parameter.grad = None


def _gradient(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter).float() if parameter.grad is None else parameter.grad.float()


def _validated(stage: Stage, optimizer: _Optimizer) -> float | None:
    state = optimizer.state
    if stage.validate is None or (state.step % stage.validate_every and state.step != stage.steps):
        return None
    candidate = state.average or state.parameters
    optimizer.place(candidate)
    figure = processes.together(stage.validate)[0]  # one for all: on GPUs theirs may differ by a rounding
    if figure > state.best_figure:
        state.best_figure, state.best_step = figure, state.step
        state.best = {name: tensor.clone() for name, tensor in candidate.items()}
    optimizer.place(state.parameters)
    return figure


class _Log:
    """One JSON line per optimiser step, of all stages of a run."""

    def __init__(self, path: Path | None, stage: str) -> None:
        self._path, self._stage = path, stage

    def cut(self, step: int) -> None:
        """Forget this stage's lines after ``step``: a resumed run writes them again."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            rows = [json.loads(line) for line in self._path.read_text().splitlines() if line.endswith("}")]
            kept = [row for row in rows if row["stage"] != self._stage or row["step"] <= step]
            self._path.write_text("".join(json.dumps(row) + "\n" for row in kept))

    def write(self, **row: float | int | None) -> None:
        if self._path is not None:
            facts = {k: round(v, 6) if isinstance(v, float) else v for k, v in row.items() if v is not None}
            with self._path.open("a") as file:
                file.write(json.dumps({"stage": self._stage, **facts}) + "\n")


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that SIGTERM or SIGINT makes true; in a process on its own a second signal acts as it did before."""
    got: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: object) -> None:
        got.append(number)
        if processes.count() == 1:  # a launcher passes on what its processes have had, and kills those that stay
            signal.signal(number, before[number])

    try:
        for stop in (signal.SIGTERM, signal.SIGINT):
            before[stop] = signal.signal(stop, note)
    except ValueError:  # not in the main thread: whoever owns it owns the signals
        pass
    try:
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
