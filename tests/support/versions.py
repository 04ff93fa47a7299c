"""Artefacts that say in every file which version they are, so that a mixture cannot pass for either."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from tastemaker.artifacts import Artifact, save


def save_version(path: Path, version: int) -> None:
    """An artefact whose every file says which version it is; version 2 also has one file more."""
    save(
        path,
        kind="thing",
        arrays={"model": {"w": np.full((3, 4), version, np.float32), "b": np.full(4, version, np.int32)}},
        json={"config": {"version": version}, **({"sub/more": version} if version == 2 else {})},
        frames={"sub/table": pl.DataFrame({"title": ["Alien", "Heat"], "version": [version, version]})},
    )


def version_of(artifact: Artifact) -> int:
    """The version that every file of the artefact agrees on."""
    found = {
        artifact.json("config")["version"],
        *artifact.arrays("model")["w"].ravel().tolist(),
        *artifact.arrays("model")["b"].tolist(),
        *artifact.frame("sub/table")["version"].to_list(),
        len(artifact.names) - 2,
    }
    assert len(found) == 1
    return int(found.pop())


def leftovers(folder: Path) -> list[str]:
    """What unfinished saves left in a folder."""
    return sorted(p.name for p in folder.iterdir() if p.name.startswith((".tmp-", ".old-")))
