"""Opening an artefact runs no code and cannot be made to hang or to fill the memory (goal T6)."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import hostile
import pytest


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every attack, opened by a process of its own in which time and memory are measured."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, build in hostile.ATTACKS.items():
        build(folder / name, folder / "canary")
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, hostile.__file__, str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(source), "POLARS_MAX_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert not (folder / "canary").exists(), "code in an artefact was run"
    return {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}


def test_every_attack_was_tried(outcomes: dict[str, dict[str, Any]]) -> None:
    assert outcomes.keys() == hostile.ATTACKS.keys()
    assert len(outcomes) >= 25


@pytest.mark.parametrize("name", sorted(hostile.ATTACKS))
def test_it_is_refused_at_once_in_one_line(outcomes: dict[str, dict[str, Any]], name: str) -> None:
    outcome = outcomes[name]
    assert outcome["outcome"].startswith("refused: "), outcome["outcome"]
    assert "\n" not in outcome["outcome"]
    assert len(outcome["outcome"]) < 600
    assert outcome["seconds"] < 2
    assert outcome["megabytes"] < 300


@pytest.mark.parametrize("name", ["link-to-a-file-outside", "link-to-a-folder-outside", "pipe-that-never-ends"])
def test_what_is_no_plain_file_is_named(outcomes: dict[str, dict[str, Any]], name: str) -> None:
    assert "is not a plain file or directory" in outcomes[name]["outcome"]


def test_the_payload_would_run_if_it_were_unpickled(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(hostile.Payload(tmp_path / "canary")))  # noqa: S301
    assert (tmp_path / "canary").exists()


def test_an_attack_undone_is_loaded(tmp_path: Path) -> None:
    from tastemaker.artifacts import load

    hostile.write(tmp_path / "a", {"w.safetensors": hostile.tensors({"w": hostile.tensor([1], 0, 4)}, bytes(4))})
    assert load(tmp_path / "a", "thing").arrays("w")["w"].tolist() == [0]
