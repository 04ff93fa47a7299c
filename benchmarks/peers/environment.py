"""A peer's name -> the Python of an environment with its pinned packages, made when it is first asked for."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".envs"


class PeerError(Exception):
    """A peer could not be installed or did not do its work; the message is its own last words."""


def python_of(name: str) -> Path:
    """The interpreter of the peer's environment. Raises `PeerError` with what pip said if it cannot be made."""
    requirements = HERE / "requirements" / f"{name}.txt"
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:8]
    folder = ENVIRONMENTS / f"{name}-{key}"
    python, made = folder / "bin" / "python", folder / "made"
    if not made.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(folder)])
        run([str(python), "-m", "pip", "install", "--quiet", "--no-input", "-r", str(requirements)])
        made.touch()
    return python


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run it to its end in silence. Raises `PeerError` with its last words."""
    done = subprocess.run(  # noqa: S603 - our own programs, no shell
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
        check=False,
    )
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in said if line.startswith("ERROR")]
        last = "\n".join((errors or said)[-5:])
        raise PeerError(f"{Path(command[0]).name} ended with {done.returncode}: {last}")
