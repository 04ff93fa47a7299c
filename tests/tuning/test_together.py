"""Two real processes that tune one model: what one of them would make, and no end that only one of them comes to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tuned_together as scenes

from tastemaker import artifacts
from tastemaker.errors import ArtifactError
from tastemaker.recommend import Recommender

pytestmark = pytest.mark.slow
SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """Where two processes have played all scenes."""
    folder = tmp_path_factory.mktemp("together")
    source = Path(artifacts.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), str(SUPPORT)]), "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "tuned_together", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def ends(stage):
    """How each scene ended in each of them."""
    return [json.loads((stage / f"{process}.json").read_text()) for process in (0, 1)]


def values(stage, scene):
    """What each of them had at the end."""
    return [dict(np.load(stage / f"{scene}-{process}.npz")) for process in (0, 1)]


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def losses(folder):
    return [row["loss"] for row in lines(folder)]


def require_close(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def require_same(one, two):
    assert one.keys() == two.keys()
    assert [name for name in one if not np.array_equal(one[name], two[name])] == []


def test_two_with_half_the_batch_each_are_one(stage, tmp_path):
    alone = scenes.toy(tmp_path, accumulate=2)
    one, two = values(stage, "toy")
    both = np.stack([one.pop("seen"), two.pop("seen")], axis=1).ravel()
    assert both.tolist() == alone.pop("seen").tolist()
    require_same(one, two)
    require_close(one, alone)
    assert losses(stage / "toy") == pytest.approx(losses(tmp_path), abs=1e-5)


def test_a_method_tuned_by_two_is_the_one_tuned_by_one(stage, tmp_path):
    alone = scenes.llara(tmp_path, accumulate=2)
    one, two = values(stage, "llara")
    require_same(one, two)
    require_close(one, alone)
    assert losses(stage / "llara") == pytest.approx(losses(tmp_path), abs=1e-4)


def test_each_draws_its_own_noise(stage):
    one, two = values(stage, "drawn")
    assert not np.isclose(one["noise"], two["noise"]).any()


def test_a_signal_to_one_stops_both_with_one_checkpoint(stage, ends):
    told = f"Interrupted: stopped at step {scenes.STOP} of 18; run the same command to go on"
    assert [end["signalled"] for end in ends] == [told, told]
    assert [end["resumed"] for end in ends] == [{"step": scenes.STOP}] * 2


def test_a_resumed_run_ends_where_an_unbroken_one_does(stage):
    for whole, resumed in zip(values(stage, "llara"), values(stage, "resumed"), strict=True):
        require_same(whole, resumed)
    assert [row["step"] for row in lines(stage / "signalled")] == list(range(1, 19))
    assert losses(stage / "signalled") == losses(stage / "llara")


def test_another_number_of_processes_does_not_go_on(stage):
    with pytest.raises(ArtifactError, match="a run with other processes; processes was 2"):
        scenes.toy(stage / "toy", accumulate=2)


@pytest.mark.parametrize(
    ("scene", "first", "second"),
    [
        (
            "nan",
            "TrainingError: process 1 failed: stage toy, step 7: the loss is nan; lower the learning rate",
            "TrainingError: stage toy, step 7: the loss is nan; lower the learning rate",
        ),
        ("broken", "TrainingError: process 1 failed: KeyError 'no such key'", "KeyError: 'no such key'"),
        (
            "full",
            "OSError: [Errno 28] No space left on device",
            "TrainingError: process 0 failed: OSError [Errno 28] No space left on device",
        ),
    ],
)
def test_what_fails_in_one_fails_in_both(scene, first, second, ends):
    assert [end[scene] for end in ends] == [first, second]


def test_a_failure_leaves_the_last_checkpoint(stage):
    for scene in ("nan", "broken"):
        kept = artifacts.load(stage / scene / "checkpoints" / "toy", "checkpoint")
        assert kept.json("progress")["step"] == 5


@pytest.mark.parametrize(
    ("scene", "named"),
    [("other seed", "seed"), ("other directory", "directory"), ("other start", "parameters to begin with")],
)
def test_processes_that_would_train_different_things_are_refused(scene, named, ends):
    for end in ends:
        assert end[scene].startswith(f"TrainingError: process 1 differs from process 0 in {named}; give all of them")


def test_one_that_is_gone_is_not_waited_for(ends):
    assert ends[0]["left"] == "TrainingError: another process has ended, and has said why, if it could"


def test_the_command_line_fits_writes_and_speaks_once(stage, ends):
    run = stage / "train"
    first, second = (end["train"] for end in ends)
    said = first.pop("err").splitlines()
    assert [line for line in said if not line.startswith("warning: ")] == [f"{run}: trained"]
    assert first == {"code": 0, "out": f"{run / 'model'}\n", "fitted": 1}
    assert second == {"code": 0, "out": "", "err": "", "fitted": 0}
    assert sorted(path.name for path in run.iterdir()) == ["config.yaml", "log.jsonl", "model"]
    steps = [row["step"] for row in lines(run)]
    assert steps == list(range(1, len(steps) + 1))
    assert Recommender.from_pretrained(run).recommend(histories=[["f3", "f4"]], n=2).height == 2


def test_the_command_line_refuses_and_repeats_as_one(ends):
    for end in ends:
        assert (end["train again"]["code"], end["train again"]["fitted"]) == (0, 0)
        assert "holds another run (seed was 0, is now 1)" in end["train otherwise"]["err"]
    assert [end["train otherwise"]["code"] for end in ends] == [2, 1]
