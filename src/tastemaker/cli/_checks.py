"""This machine -> one Check for each thing that must, or should, be in place."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from tastemaker import __version__
from tastemaker.cli._datasets import known
from tastemaker.cli._output import size
from tastemaker.data import readers
from tastemaker.data.sources import cache_dir

PACKAGES = ("torch", "transformers", "peft", "accelerate", "polars", "numpy", "scipy", "pydantic", "rich", "typer")
NEEDED_DISK, NEEDED_MEMORY = 2e9, 3e9
"""What `tastemaker demo` takes, rounded up."""
FLAGS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16", "avx512f": "AVX512", "avx2": "AVX2"}


class Check(NamedTuple):
    """What one look found."""

    name: str
    state: Literal["ok", "absent", "missing", "bad"]
    """``absent`` is wanted by some only; ``missing`` is fetched when it is first needed; ``bad`` must be put right."""
    told: str
    advice: str = ""


def checks(*, network: bool = False) -> list[Check]:
    """All of them; without ``network`` nothing leaves this machine."""
    found = [Check("tastemaker", "ok", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")]
    found += [*_packages(), *_extras(), _torch(), _memory(), *_cache(), *_datasets(), *_models()]
    return found + (list(_places()) if network else [])


def _packages() -> Iterator[Check]:
    versions, missing = [], []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    advice = f"not installed: {', '.join(missing)}; install tastemaker again" if missing else ""
    yield Check("packages", "bad" if missing else "ok", ", ".join(versions), advice)
    pip = importlib.util.find_spec("pip") is not None
    yield Check(
        "pip", "ok" if pip else "missing", "installed" if pip else "not in this environment", "" if pip else _PIP
    )


def _extras() -> Iterator[Check]:
    """Each extra that this installation knows of; a package that only some machines want is not asked for."""
    try:
        about = importlib.metadata.metadata("tastemaker")
    except importlib.metadata.PackageNotFoundError:
        return
    wanted = [line.replace('"', "'").partition(";") for line in about.get_all("Requires-Dist") or ()]
    for extra in about.get_all("Provides-Extra") or ():
        names = [_name(package) for package, _, marker in wanted if marker.strip() == f"extra == '{extra}'"]
        absent = [name for name in names if not _is_installed(name)]
        told = f"not installed: {', '.join(absent)}" if absent else ", ".join(names)
        advice = f"if you want it: pip install 'tastemaker[{extra}]'" if absent else ""
        yield Check(f"extra {extra}", "absent" if absent else "ok", told, advice)


def _name(requirement: str) -> str:
    """``psycopg`` of ``psycopg[binary]>=3.2``."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


_PIP = "without pip, models and data that come as packages must be fetched by hand: python -m ensurepip"


def _torch() -> Check:
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as error:
        return Check("torch", "bad", str(error).partition("\n")[0], "install torch again; the CPU build is enough")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    numbers = next((name for flag, name in FLAGS.items() if flag in _cpu_flags()), "plain")
    bf16 = "bf16 in hardware" if numbers in ("AMX", "AVX512-BF16") else "no bf16 in hardware, fp32 is used"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Check("torch", "ok", f"{torch.get_num_threads()} threads on {cores} cores, {numbers}, {bf16}, {gpu}")


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return set(next((line.partition(":")[2] for line in lines if line.startswith("flags")), "").split())


def _memory() -> Check:
    try:
        total, free = (os.sysconf("SC_PAGE_SIZE") * os.sysconf(n) for n in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return Check("memory", "ok", "cannot be told on this system")
    advice = "" if total >= NEEDED_MEMORY else f"the demo needs some {size(NEEDED_MEMORY)}"
    return Check("memory", "bad" if advice else "ok", f"{size(total)}, {size(free)} free", advice)


def _cache() -> Iterator[Check]:
    folder = cache_dir()
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    advice = "" if free >= NEEDED_DISK else f"free some space, or set TASTEMAKER_CACHE; {size(NEEDED_DISK)} are needed"
    yield Check("disk", "bad" if advice else "ok", f"{size(free)} free for {folder}", advice)
    writable = os.access(there, os.W_OK)
    advice = "" if writable else f"{there} cannot be written; set TASTEMAKER_CACHE to a directory that can"
    yield Check("cache", "ok" if writable else "bad", f"{folder}, {size(_bytes(folder))}", advice)
    for part in sorted(folder.iterdir()) if folder.is_dir() and writable else []:
        if not part.name.startswith("."):
            yield Check("", "ok", f"{part.name}: {size(_bytes(part))}")


def _datasets() -> Iterator[Check]:
    here = [row["name"] for row in known() if row["here"]]
    yield Check("data here", "ok", ", ".join(here) or "none")
    if "ml-100k" not in here:
        advice = "comes with the first use, or with `tastemaker data fetch ml-100k`"
        yield Check("ml-100k", "missing", "the demo's data is not here yet", advice)


def _models() -> Iterator[Check]:
    try:
        from huggingface_hub import try_to_load_from_cache

        from tastemaker.llm.zoo import ZOO
    except ImportError as error:
        yield Check("language models", "bad", str(error).partition("\n")[0], "install tastemaker again")
        return
    for name, model in ZOO.items():
        own = any((cache_dir() / "llm").glob(f"{name}-*"))
        hub = isinstance(try_to_load_from_cache(model.repository, "config.json", revision=model.revision), str)
        advice = "" if own or hub else "comes with the first use; by hand: give a directory of weights as --llm"
        yield Check(name, "missing" if advice else "ok", "not here yet" if advice else "here", advice)


def _places() -> Iterator[Check]:
    urls = {urlsplit(s.url).hostname for name in readers.names() for s in readers.get(name).sources if s.url}
    for host in sorted(filter(None, urls)):
        try:
            socket.create_connection((host, 443), timeout=5).close()
        except OSError as error:
            yield Check(host, "missing", f"not reachable ({error.strerror or error})", "packages may do instead")
        else:
            yield Check(host, "ok", "reachable")


def _bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file() and not file.is_symlink())
