"""Which datasets there are, and which of them are here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tastemaker.data import readers
from tastemaker.data.readers.base import Reader
from tastemaker.data.sources import cache_dir


def known() -> list[dict[str, Any]]:
    """Every reader: its name, what it reads, whether its files are here, and whether they can be fetched."""
    return [
        {
            "name": name,
            "what": _sentence(readers.get(name)),
            "here": _is_here(name),
            "fetchable": bool(readers.get(name).sources),
        }
        for name in readers.names()
    ]


def _is_here(name: str) -> bool:
    root = os.environ.get("TASTEMAKER_DATA")
    if root and (Path(root) / name).is_dir():
        return True
    return any(cache_dir().glob(f"{name}-????????"))


def _sentence(reader: type[Reader]) -> str:
    return (reader.__doc__ or "").strip().partition("\n")[0]
