"""Hostile artefacts, each with a manifest that is right about its bytes: checksums alone must not save us.

Run as a script, ``hostile.py FOLDER`` opens every artefact in the folder and prints one JSON line for each.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import resource
import struct
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

ATTACKS: dict[str, Callable[[Path, Path], None]] = {}
"""Each writes a hostile artefact to its first path; code that ran would create its second, the canary."""


class Payload:
    """Runs code when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.canary),)


def attack(build: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
    ATTACKS[build.__name__.replace("_", "-")] = build
    return build


def write(path: Path, contents: dict[str, bytes], **manifest: object) -> None:
    """An artefact of these files, its manifest true unless told otherwise."""
    path.mkdir()
    entries = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in contents.items()}
    for name, data in contents.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    (path / "manifest.json").write_text(json.dumps({"format": 1, "kind": "thing", "files": entries, **manifest}))


def tensors(header: object, body: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def tensor(shape: list[int], start: int, end: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}


@attack
def pickle_listed_as_bin(path: Path, canary: Path) -> None:
    write(path, {"weights.bin": pickle.dumps(Payload(canary))})


@attack
def pickle_beside_good_weights(path: Path, canary: Path) -> None:
    write(path, {"weights.safetensors": tensors({"w": tensor([1], 0, 4)}, bytes(4))})
    (path / "weights.pt").write_bytes(pickle.dumps(Payload(canary)))


@attack
def pickle_named_json(path: Path, canary: Path) -> None:
    write(path, {"config.json": pickle.dumps(Payload(canary))})


@attack
def object_array_named_safetensors(path: Path, canary: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload(canary)], dtype=object), allow_pickle=True)
    write(path, {"weights.safetensors": buffer.getvalue()})


@attack
def zip_bomb_named_parquet(path: Path, canary: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bomb:
        bomb.writestr("x.npy", bytes(100_000_000))
    write(path, {"table.parquet": buffer.getvalue()})


@attack
def header_of_4_gigabytes(path: Path, canary: Path) -> None:
    write(path, {"weights.safetensors": tensors({}, bytes(64), length=4 * 2**30)})


@attack
def header_of_very_many_keys(path: Path, canary: Path) -> None:
    write(path, {"weights.safetensors": tensors({f"w{i}": tensor([0], 0, 0) for i in range(200_000)})})


@attack
def overlapping_tensors(path: Path, canary: Path) -> None:
    write(path, {"weights.safetensors": tensors({"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}, bytes(12))})


@attack
def tensor_beyond_the_file(path: Path, canary: Path) -> None:
    write(path, {"weights.safetensors": tensors({"a": tensor([2**20], 0, 2**22)}, bytes(8))})


@attack
def shape_that_overflows(path: Path, canary: Path) -> None:
    write(path, {"weights.safetensors": tensors({"a": tensor([2**40, 2**40], 0, 4)}, bytes(4))})


@attack
def weights_that_are_not_numbers(path: Path, canary: Path) -> None:
    write(path, {"weights.safetensors": tensors({"w": tensor([2], 0, 8)}, struct.pack("<ff", 1.0, float("nan")))})


@attack
def rows_without_end(path: Path, canary: Path) -> None:
    buffer = io.BytesIO()
    pl.select(x=pl.repeat(7, 20_000_000, dtype=pl.Int64)).write_parquet(buffer, compression="lz4", statistics=False)
    write(path, {"table.parquet": buffer.getvalue()})


@attack
def parquet_with_a_broken_page(path: Path, canary: Path) -> None:
    buffer = io.BytesIO()
    pl.DataFrame({"title": ["Alien", "Heat"] * 50}).write_parquet(buffer)
    data = bytearray(buffer.getvalue())
    data[4:60] = b"\xff" * 56
    write(path, {"table.parquet": bytes(data)})


@attack
def link_to_a_file_outside(path: Path, canary: Path) -> None:
    write(path, {"config.json": b"{}"})
    outside = path.parent / "outside.json"
    outside.write_bytes(b"{}")
    (path / "config.json").unlink()
    (path / "config.json").symlink_to(outside)


@attack
def link_to_a_folder_outside(path: Path, canary: Path) -> None:
    write(path, {"sub/config.json": b"{}"})
    (path / "sub").rename(path.parent / "outside")
    (path / "sub").symlink_to(path.parent / "outside")


@attack
def pipe_that_never_ends(path: Path, canary: Path) -> None:
    write(path, {"config.json": b"{}"})
    (path / "config.json").unlink()
    os.mkfifo(path / "config.json")


@attack
def name_that_leaves_the_folder(path: Path, canary: Path) -> None:
    (path.parent / "secret.json").write_bytes(b"{}")
    write(path, {"../secret.json": b"{}"})


@attack
def absolute_name(path: Path, canary: Path) -> None:
    write(path, {str(path.parent / "secret.json"): b"{}"})


@attack
def class_path_in_the_manifest(path: Path, canary: Path) -> None:
    write(path, {"config.json": b"{}"}, **{"class": "os.mkdir", "args": [str(canary)]})


@attack
def unknown_format(path: Path, canary: Path) -> None:
    write(path, {"config.json": b"{}"}, format=999)


@attack
def format_that_is_true(path: Path, canary: Path) -> None:
    write(path, {"config.json": b"{}"}, format=True)


@attack
def size_without_end(path: Path, canary: Path) -> None:
    entry = {"sha256": hashlib.sha256(b"{}").hexdigest(), "size": 10**15}
    write(path, {"config.json": b"{}"}, files={"config.json": entry})


@attack
def size_beyond_any_machine(path: Path, canary: Path) -> None:
    entry = {"sha256": hashlib.sha256(b"{}").hexdigest(), "size": 10**30}
    write(path, {"config.json": b"{}"}, files={"config.json": entry})


@attack
def json_nested_100_000_deep(path: Path, canary: Path) -> None:
    write(path, {"config.json": b"[" * 100_000 + b"]" * 100_000})


@attack
def json_with_an_endless_number(path: Path, canary: Path) -> None:
    write(path, {"config.json": b"9" * 100_000})


@attack
def json_of_twelve_megabytes(path: Path, canary: Path) -> None:
    write(path, {"config.json": b"[" + b"[]," * 4_000_000 + b"0]"})


@attack
def json_that_is_not_a_number(path: Path, canary: Path) -> None:
    write(path, {"config.json": b'{"dim": NaN}'})


@attack
def manifest_of_a_hundred_megabytes(path: Path, canary: Path) -> None:
    write(path, {"config.json": b"{}"})
    with (path / "manifest.json").open("r+b") as manifest:
        manifest.truncate(100_000_000)


@attack
def manifest_that_is_a_folder(path: Path, canary: Path) -> None:
    (path / "manifest.json").mkdir(parents=True)


@attack
def manifest_that_is_a_list(path: Path, canary: Path) -> None:
    path.mkdir()
    (path / "manifest.json").write_text("[]")


def open_all(folder: Path) -> None:
    """Open each artefact and read every file in it; print what came of it, the processor time and the peak."""
    from tastemaker.artifacts import load
    from tastemaker.errors import ArtifactError

    start_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in sorted(p for p in folder.iterdir() if p.name in ATTACKS):
        begin = time.process_time()
        try:
            artifact = load(path, "thing")
            for name in artifact.names:
                read = {".json": artifact.json, ".parquet": artifact.frame, ".safetensors": artifact.arrays}
                read[Path(name).suffix](name)
            outcome = "loaded"
        except ArtifactError as error:
            outcome = f"refused: {error}"
        except BaseException as error:
            outcome = f"{type(error).__name__}: {error}"
        seconds = time.process_time() - begin
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start_peak) / 1024
        print(json.dumps({"name": path.name, "outcome": outcome, "seconds": seconds, "megabytes": peak}))


if __name__ == "__main__":
    open_all(Path(sys.argv[1]))
