"""One process, as almost everywhere: nothing is imported, nothing waits. Several are in `tuning/test_together.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from shell import tastemaker

from tastemaker import processes
from tastemaker.errors import TrainingError
from tastemaker.llm.local import best_device
from tastemaker.methods.tallrec import TALLRec
from tastemaker.testing.methods import chains, under
from tastemaker.testing.preferences import opinions
from tastemaker.testing.tiny_llm import tiny_lm
from tastemaker.tuning.stages import Stage


def launched(monkeypatch: pytest.MonkeyPatch, local: int, many: int = 8) -> None:
    """As a launcher of two machines tells it to a process of the second."""
    for name, value in {"LOCAL_RANK": local, "RANK": local + many // 2, "WORLD_SIZE": many}.items():
        monkeypatch.setenv(name, str(value))


def test_without_a_launcher_there_is_one_and_nothing_is_imported() -> None:
    code = (
        "import sys; from tastemaker import processes as p; "
        "p.require_same(lambda: 1 / 0); "
        "print(p.count(), p.index(), p.together(lambda: 1), p.by_main(lambda: 2), p.main_first(lambda: 3), p.mean({}));"
        "print({'torch', 'accelerate', 'numpy'} & {*sys.modules})"
    )
    source = Path(processes.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=source)
    assert done.stdout.splitlines() == ["1 0 [1] 2 3 {}", "set()"]


def test_what_fails_in_one_process_is_raised_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        processes.together(lambda: 1 / 0)


def test_a_cluster_that_starts_one_process_on_each_machine_means_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert (processes.count(), processes.index()) == (1, 0)


def test_every_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert best_device() == "cuda"
    launched(monkeypatch, 3)
    assert (processes.index(), best_device()) == (7, "cuda:3")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # each is shown its own alone
    assert best_device() == "cuda:0"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert best_device() == "cpu"  # which processes can be connected over, and Apple's GPU not


def test_processes_that_accelerate_takes_for_one_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    launched(monkeypatch, 0)
    monkeypatch.setattr("accelerate.PartialState", lambda **options: type("Alone", (), {"num_processes": 1}))
    with pytest.raises(TrainingError, match="8 processes were started that know nothing of each other"):
        processes.together(lambda: None)


@pytest.mark.parametrize("method", ["llara", "palr"])
def test_an_epoch_is_an_epoch_however_many_share_it(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tastemaker import methods

    steps: list[int] = []
    monkeypatch.setattr("tastemaker.tuning.loop.run", lambda stage, **options: steps.append(stage.steps))
    for many in (1, 4):
        if many > 1:
            launched(monkeypatch, 0, many)
        made = methods.registry.get(method)(tiny_lm(), under(), epochs=8, batch_positions=256)
        made.tune(chains())
    assert steps[1] == round(steps[0] / 4) > 0


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "popularity", "--protocol", "leave-one-out"),
        ("demo",),
        ("train", "popularity", "--data", "ml-100k", "--out", "x"),
    ],
)
def test_what_does_not_tune_runs_in_one_process(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    launched(monkeypatch, 0)
    tastemaker(*command).fails(2, "one process; run the command without a launcher")


def stages_of(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> list[Stage]:
    """The stages by which TALLRec would be tuned."""
    found: list[Stage] = []
    monkeypatch.setattr("tastemaker.tuning.loop.run", lambda stage, **options: found.append(stage))
    TALLRec(tiny_lm(), **settings).tune(opinions())
    return found


def test_yes_or_no_questions_and_instructions_are_shared_out_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = [{"instruction": "Add.", "input": f"{n} and 1", "output": str(n + 1)} for n in range(64)]
    (tmp_path / "instructions.json").write_text(json.dumps(rows))
    settings = {"shots": 32, "batch_rows": 2, "accumulate": 2, "epochs": 4, "instruction_epochs": 4}
    settings["instructions"] = str(tmp_path / "instructions.json")
    alone = stages_of(monkeypatch, **settings)
    launched(monkeypatch, 0, 2)
    shared = stages_of(monkeypatch, **settings)
    assert [stage.steps for stage in alone] == [64, 32]
    assert [stage.steps for stage in shared] == [32, 16]


def test_with_fewer_rows_than_a_step_takes_all_of_them_together_take_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"shots": 16, "batch_rows": 2, "accumulate": 32, "epochs": 4}  # eight micro-batches an epoch
    (alone,) = stages_of(monkeypatch, **settings)
    launched(monkeypatch, 0, 2)
    (shared,) = stages_of(monkeypatch, **settings)
    assert (alone.accumulate, alone.steps) == (8, 4)
    assert (shared.accumulate, shared.steps) == (4, 4)
