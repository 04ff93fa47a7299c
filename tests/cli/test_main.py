"""Help is quick and has examples; an error is one line and an exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from shell import tastemaker

from tastemaker.errors import DataError, Interrupted, LanguageModelError, TastemakerError

VERBS = ["batch", "compare", "config", "demo", "doctor", "evaluate", "explain", "profile", "recommend", "train"]
GROUPS = {"data": ["list", "fetch", "import", "describe", "split", "export"], "export": ["embeddings"]}
COMMANDS = [*([verb] for verb in VERBS), *([group, verb] for group, verbs in GROUPS.items() for verb in verbs)]
SOURCE = Path(__file__).parents[2] / "src"


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_without_a_verb_there_is_help(arguments: list[str]) -> None:
    done = tastemaker(*arguments).ok()
    assert all(f"\n  {verb} " in done.out for verb in [*VERBS, *GROUPS])
    assert done.err == ""


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_verb_has_help_with_an_example(command: list[str]) -> None:
    done = tastemaker(*command, "--help").ok()
    assert f"Example:\n  {' ' * 2}tastemaker {' '.join(command)} " in done.out + " " or "data list" in done.out


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_without_a_verb_shows_its_verbs(group: str) -> None:
    done = tastemaker(group).ok()
    assert all(f"\n  {verb} " in done.out for verb in GROUPS[group])


def test_the_version_is_told() -> None:
    assert tastemaker("--version").ok().out.startswith("tastemaker ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["train", "--nope"], "No such option: --nope"),
        (["train", "sasrec"], "--out"),
        (["recommend", "x", "-n", "0"], "-n"),
        (["recommend", "x", "-n", "many"], "-n"),
        (["data", "describe"], "NAME|PATH"),
    ],
)
def test_what_cannot_be_parsed_is_an_error_of_usage(arguments: list[str], told: str) -> None:
    tastemaker(*arguments).fails(2, told)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (TastemakerError("it broke"), 1, "error: it broke"),
        (DataError("is empty", "a.csv", 3), 2, "error: a.csv:3: is empty"),
        (LanguageModelError("two\nlines\x1b[2J"), 1, "error: two lines [2J"),
        (Interrupted("saved at step 3"), 130, "error: saved at step 3"),
        (OSError(28, "No space left on device", "out.json"), 1, "error: out.json: No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("division by zero"), 1, "error: ZeroDivisionError: division by zero; this should not"),
    ],
)
def test_every_error_is_one_line_and_a_code(
    error: BaseException, code: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr("tastemaker.data.load_dataset", raises)
    done = tastemaker("data", "describe", "ml-100k")
    assert done.code == code
    assert done.err.startswith(told)
    assert done.err.count("\n") == 1
    assert done.out == ""


def test_debug_shows_where_it_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tastemaker.data.load_dataset", lambda *a, **o: 1 / 0)
    done = tastemaker("data", "describe", "ml-100k", "--debug")
    assert "Traceback" in done.err
    assert done.err.splitlines()[-1].startswith("error: ZeroDivisionError")


def command(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, typer\nfrom tastemaker.cli._main import application\n"
        "typer.main.get_command(application())\n"
        "print([m for m in ('torch', 'polars', 'transformers', 'pydantic', 'rich', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run(command(code), capture_output=True, text=True, check=True, cwd=SOURCE)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_what_needs_no_language_model_loads_no_library_of_them(data: Path, counted: Path, tmp_path: Path) -> None:
    said = [
        ["data", "describe", data, "--split", "leave-one-out", "-o", "k_core=0"],
        ["train", "popularity", "--data", data, "--out", tmp_path / "run", "-o", "split.k_core=0"],
        ["evaluate", counted],
        ["recommend", counted, "--user", "u0"],
        ["batch", counted, "--out", tmp_path / "lists.parquet"],
        ["profile", counted, "--user", "u0"],
    ]
    code = (
        "import contextlib, json, os, sys\nfrom tastemaker.cli import main\n"
        "for arguments in json.loads(sys.argv[1]):\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(open(os.devnull, 'w')):\n"
        "        main(arguments)\n"
        "    print(arguments[0], [m for m in ('torch', 'transformers', 'peft') if m in sys.modules])"
    )
    asked = json.dumps([[str(one) for one in arguments] for arguments in said])
    done = subprocess.run([*command(code), asked], capture_output=True, text=True, check=True, cwd=SOURCE)
    assert done.stdout.splitlines() == [f"{arguments[0]} []" for arguments in said], done.stderr


def test_as_a_program_results_go_to_stdout_and_errors_to_stderr() -> None:
    run = [sys.executable, "-m", "tastemaker"]
    good = subprocess.run([*run, "--version"], capture_output=True, text=True, cwd=SOURCE, check=False)
    assert (good.returncode, good.stderr) == (0, "")
    bad = subprocess.run([*run, "evalute"], capture_output=True, text=True, cwd=SOURCE, check=False)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("error: ")
    assert bad.stderr.count("\n") == 1


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_with_130(stop: signal.Signals) -> None:
    code = (
        "import signal, sys, tastemaker.data, tastemaker.cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # which what runs in the background begins without
        "def wait(*a, **o):\n    print('waiting', file=sys.stderr, flush=True)\n    import time; time.sleep(60)\n"
        "tastemaker.data.load_dataset = wait\ntastemaker.cli.main(['data', 'describe', 'ml-100k'])"
    )
    with subprocess.Popen(command(code), stderr=subprocess.PIPE, text=True, cwd=SOURCE) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "waiting\n"
        os.kill(process.pid, stop)
        assert process.stderr.read().strip() == "interrupted"
    assert process.returncode == 130


def test_a_reader_that_has_enough_is_no_error() -> None:
    code = "import tastemaker.cli\ntastemaker.cli.main(['--help'])"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command(code), stdout=writing, stderr=subprocess.PIPE, text=True, cwd=SOURCE, check=False)
    os.close(writing)
    assert done.stderr == ""
