"""Stopped and resumed runs: to the bit what an uninterrupted one gives, in this process and in another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy import BATCHES, Toy, same
from tuned_elsewhere import RUNS, STOP, parameters, tuned

from tastemaker import artifacts
from tastemaker.errors import ArtifactError, Interrupted, TrainingError
from tastemaker.methods.llara import LLaRA
from tastemaker.testing.methods import asked, chains, under
from tastemaker.testing.tiny_llm import tiny_lm
from tastemaker.tuning import checkpoint

SUPPORT = Path(__file__).parents[1] / "support"


def figures():
    """A validation whose best step lies before the places where runs are stopped."""
    return {"validate": lambda: 0.0, "validate_every": 7}


SETTINGS = {
    "plain": {},
    "accumulated": {"accumulate": 3},
    "averaged": {"average": 0.9},
    "validated": figures(),
    "everything": {"accumulate": 3, "average": 0.9, "clip": 0.1, **figures()},
}


def stop_at(step, number=signal.SIGTERM):
    """Progress that sends this process a signal at a step."""
    return lambda task, done, total=None, note="": signal.raise_signal(number) if done == step else None


def stopped(path, step, **settings):
    toy = Toy(**settings)
    with pytest.raises(Interrupted):
        toy.run(path, progress=stop_at(step))
    return toy


def lines(path):
    return [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("step", [1, BATCHES, 10, 19])
def test_ten_steps_and_ten_more_are_twenty(name, step, tmp_path):
    whole = Toy(**SETTINGS[name])
    outcome = whole.run(tmp_path / "whole")
    first = stopped(tmp_path / "parts", step, **SETTINGS[name])
    second = Toy(**SETTINGS[name])
    resumed = second.run(tmp_path / "parts")
    assert same(second.values(), whole.values())
    assert first.seen + second.seen == whole.seen
    assert first.shares + second.shares == whole.shares
    assert (resumed.steps, resumed.best_figure, resumed.best_step) == (20, outcome.best_figure, outcome.best_step)
    one, two = (checkpoint.load(tmp_path / p / "checkpoints" / "toy", FACTS) for p in ("whole", "parts"))
    for table in ("parameters", "first_moment", "second_moment", "best"):
        assert same(getattr(one, table), getattr(two, table)), table
    assert (one.average is None) == (two.average is None) == ("average" not in SETTINGS[name])
    assert one.average is None or same(one.average, two.average)
    logs = [[{**row, "seconds": 0} for row in lines(tmp_path / p)] for p in ("whole", "parts")]
    assert logs[0] == logs[1]
    assert [row["step"] for row in logs[0]] == list(range(1, 21))


FACTS = {"stage": "toy", "steps": 20, "seed": 0}


def test_stopped_again_and_again_is_still_the_same(tmp_path):
    whole = Toy(accumulate=2, average=0.5)
    whole.run()
    for step in (3, 4, 11, 17):
        stopped(tmp_path, step, accumulate=2, average=0.5)
    last = Toy(accumulate=2, average=0.5)
    last.run(tmp_path)
    assert same(last.values(), whole.values())


def test_a_run_that_died_goes_on_from_its_last_checkpoint(tmp_path):
    whole, toy, last = Toy(), Toy(), Toy()
    whole.run()

    def die(task, done, total, note):
        if done == 13:
            raise KeyError

    with pytest.raises(KeyError):
        toy.run(tmp_path, save_every=5, progress=die)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"stage": "toy", "st')  # cut off as it was written
    last.run(tmp_path, save_every=5)
    assert last.seen == whole.seen[10:]
    assert same(last.values(), whole.values())
    assert [row["step"] for row in lines(tmp_path)] == list(range(1, 21))


def test_a_finished_stage_is_not_trained_again(tmp_path):
    first, again = Toy(), Toy()
    first.run(tmp_path)
    written = (tmp_path / "log.jsonl").read_text()
    assert again.run(tmp_path).steps == 20
    assert again.seen == []
    assert same(again.values(), first.values())
    assert (tmp_path / "log.jsonl").read_text() == written


def test_the_log_keeps_what_other_stages_wrote(tmp_path):
    other = Toy(name="other", steps=3)
    other.run(tmp_path)
    stopped(tmp_path, 6)
    (tmp_path / "log.jsonl").write_text((tmp_path / "log.jsonl").read_text() + '{"stage": "toy", "step": 9}\n')
    Toy().run(tmp_path)
    rows = [(row["stage"], row["step"]) for row in lines(tmp_path)]
    assert rows == [("other", s) for s in range(1, 4)] + [("toy", s) for s in range(1, 21)]
    assert {"loss", "rate", "seconds"} < lines(tmp_path)[-1].keys()


def test_a_log_without_its_checkpoint_starts_anew(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"stage": "toy", "step": 1, "loss": 9}\n')
    Toy().run(tmp_path)
    assert [row["step"] for row in lines(tmp_path)] == list(range(1, 21))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_raises(number, tmp_path):
    before = signal.getsignal(number)
    toy = Toy()
    with pytest.raises(Interrupted, match="stopped at step 4 of 20; run the same command to go on") as raised:
        toy.run(tmp_path, progress=stop_at(4, number))
    assert raised.value.exit_code == 130
    assert len(toy.seen) == 4
    assert checkpoint.load(tmp_path / "checkpoints" / "toy", FACTS).step == 4
    assert signal.getsignal(number) is before


def test_a_signal_on_the_last_step_stops_what_would_follow(tmp_path):
    stopped(tmp_path, 20)
    rest = Toy()
    rest.run(tmp_path)
    assert rest.seen == []


def test_without_a_directory_nothing_is_promised():
    with pytest.raises(Interrupted, match=r"stopped at step 4 of 20$"):
        Toy().run(progress=stop_at(4))


def test_a_second_signal_acts_as_it_did_before(tmp_path):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with pytest.raises(Interrupted):
            Toy().run(
                tmp_path, progress=lambda task, done, *rest: [signal.raise_signal(signal.SIGTERM) for _ in range(2)]
            )
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_is_not_a_number_leaves_the_last_checkpoint_intact(tmp_path):
    whole, bad, rest = Toy(), Toy(), Toy()
    whole.run()
    bad.stage = replace(bad.stage, loss=lambda batch, share: bad.loss(batch, share) / (len(bad.seen) < 13))
    with pytest.raises(TrainingError, match="step 13"):
        bad.run(tmp_path, save_every=5)
    assert checkpoint.load(tmp_path / "checkpoints" / "toy", FACTS).step == 10
    rest.run(tmp_path)
    assert same(rest.values(), whole.values())


@pytest.mark.parametrize(
    ("settings", "options", "named"),
    [
        ({"steps": 21}, {}, "other steps;"),
        ({}, {"seed": 1}, "other seed;"),
        ({"facts": {"llm": "b"}}, {}, "other llm;"),
        ({"facts": {"rank": 8}}, {}, "other llm, rank;"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(settings, options, named, tmp_path):
    stopped(tmp_path, 3, facts={"llm": "a"})
    with pytest.raises(ArtifactError, match=named):
        Toy(**{"facts": {"llm": "a"}, **settings}).run(tmp_path, **options)


def test_a_run_does_not_go_on_in_other_numbers(tmp_path):
    method = LLaRA(tiny_lm(), under(), epochs=1, batch_positions=256, validate_cases=4, layers=None)
    method.tune(chains(), run_dir=tmp_path)
    lm = tiny_lm()
    lm.model.bfloat16()
    with pytest.raises(ArtifactError, match="other number_format; number_format was float32, is bfloat16: use another"):
        LLaRA(lm, under(), config=method.config).tune(chains(), run_dir=tmp_path)


def test_a_kill_between_the_two_swaps_of_a_save_loses_nothing(tmp_path):
    stopped(tmp_path, 7)
    folder = tmp_path / "checkpoints" / "toy"
    folder.rename(folder.with_name(".old-toy"))
    seen: list[float] = []
    Toy().run(tmp_path, progress=lambda task, done, *rest: seen.append(done))
    assert seen == list(range(8, 21))


def test_a_damaged_checkpoint_is_refused(tmp_path):
    stopped(tmp_path, 3)
    folder = tmp_path / "checkpoints" / "toy"
    for file in [path for path in folder.iterdir() if path.is_file()]:
        whole = file.read_bytes()
        file.write_bytes(whole[:-1])
        with pytest.raises(ArtifactError):
            Toy().run(tmp_path)
        file.write_bytes(whole)
    Toy().run(tmp_path)


def test_the_checkpoint_holds_no_code(tmp_path):
    stopped(tmp_path, 3)
    assert artifacts.load(tmp_path / "checkpoints" / "toy", checkpoint.KIND).names == [
        "arrays.safetensors",
        "progress.json",
    ]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Where another process tuned every run of `RUNS` until it was told to stop, and what it said."""
    folder = tmp_path_factory.mktemp("elsewhere")
    source = Path(artifacts.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), str(SUPPORT)])}
    command = [sys.executable, "-m", "tuned_elsewhere", str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        said = []
        for line in process.stdout:
            said.append(line.strip())
            if line.startswith("at "):
                process.send_signal(signal.SIGTERM)
                process.stdin.write("go on\n")
                process.stdin.flush()
    assert process.returncode == 0
    return folder, said


@pytest.mark.parametrize("name", RUNS)
def test_a_process_told_to_stop_saves_and_another_finishes_to_the_bit(name, elsewhere, tmp_path):
    folder, said = elsewhere
    assert f"{name} 130 stopped at step {STOP} of {RUNS[name]['steps']}; run the same command to go on" in said
    whole, resumed = tuned(name, tmp_path), tuned(name, folder / name)
    one, two = parameters(whole), parameters(resumed)
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[key], two[key]) for key in one)
    assert whole.weight == resumed.weight
    for a, b in zip(whole.score(asked(chains())), resumed.score(asked(chains())), strict=True):
        np.testing.assert_array_equal(a, b)
    steps = [row["step"] for row in lines(folder / name)]
    assert steps == list(range(1, RUNS[name]["steps"] + 1))
    assert [r["loss"] for r in lines(folder / name)] == [r["loss"] for r in lines(tmp_path)]
