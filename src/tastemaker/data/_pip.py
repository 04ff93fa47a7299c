"""A pinned package -> its wheel on disk, through pip and whatever registry pip is configured with."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tastemaker.errors import SourceError

Report = Callable[[float, float | None], None]
PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.+!]+")


def download(package: str, to: Path, report: Report) -> None:
    """``to`` is the wheel of ``name==version``. Wheels only: building a source archive would run its code."""
    if not PINNED.fullmatch(package):
        raise SourceError("is not of the form name==version")
    with tempfile.TemporaryDirectory(dir=to.parent, prefix="pip-") as folder:
        _run(_command(package, folder), report)
        wheels = list(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise SourceError(f"pip brought {len(wheels)} wheels where one is expected")
        wheels[0].replace(to)


def _command(package: str, folder: str) -> list[str]:
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--retries=2"]
    options += [f"--progress-bar={'raw' if _pip_version() >= (24, 1) else 'off'}", f"--dest={folder}"]
    return [sys.executable, "-m", "pip", "download", *options, package]


def _pip_version() -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in version("pip").split(".")[:2] if part.isdigit())
    except PackageNotFoundError:
        raise SourceError("pip is not installed in this environment") from None


def _run(command: list[str], report: Report) -> None:
    """Run pip to its end; it dies with us. Raises `SourceError` with its last words."""
    last, unreachable = "pip failed without a word", False
    pip = subprocess.Popen(  # noqa: S603 - our own interpreter, a checked name and no shell
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    with pip:
        try:
            for line in pip.stdout or ():
                if found := re.fullmatch(r"Progress (\d{1,15}) of (\d{1,15})\s*", line):
                    report(int(found[1]), int(found[2]) or None)
                elif line.startswith("WARNING: Retrying"):
                    unreachable = True
                elif line.startswith("ERROR:"):
                    last = line.removeprefix("ERROR:").strip()
        except BaseException:
            pip.kill()
            raise
    if pip.returncode:
        where = "its package index could not be reached; " if unreachable else ""
        raise SourceError(f"pip: {where}{last[:300]}")
