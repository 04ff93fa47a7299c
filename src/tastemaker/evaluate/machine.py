"""This machine and this checkout -> the two lines a result carries about them, without host names or paths."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def machine() -> str:
    """``Intel Xeon 2.1 GHz, 2 cores, 15 GB, Linux, Python 3.11.9, torch 2.13.0``: what times depend on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0.0
    parts = [_processor(), f"{_cores()} cores", f"{memory:.0f} GB" if memory else ""]
    parts += [platform.system(), f"Python {platform.python_version()}", _torch()]
    return ", ".join(part for part in parts if part)


def peak_memory() -> int:
    """Bytes: the most memory this process has held since its program began; 0 where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):  # no Linux, whose getrusage counts what the starting process held as well
        return _most_resident()


def commit(folder: str | Path = ".") -> str:
    """The commit of the checkout at ``folder``, ``+changes`` after it if its code differs; ``unknown`` without git."""
    head = _git(folder, "rev-parse", "HEAD")
    if not head:
        return "unknown"
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ":/src", ":/pyproject.toml")
    return f"{head}+changes" if changed else head


def _most_resident() -> int:
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _git(folder: str | Path, *arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    done = subprocess.run(  # noqa: S603  fixed arguments
        [git, "-C", str(folder), *arguments], capture_output=True, text=True, check=False, timeout=30
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _torch() -> str:
    try:
        return f"torch {version('torch')}"
    except PackageNotFoundError:
        return ""
