"""Arrays, tables and settings -> one verified directory of safetensors, parquet and JSON, and back.

An artefact is a directory with a ``manifest.json`` that names the format, the kind of thing saved, and the size and
SHA-256 of every other file. Nothing in it is ever run: no pickle, no class paths.

    save("runs/a", kind="model", arrays={"weights": {"item": vectors}}, json={"config": {"dim": 8}})
    load("runs/a", "model").arrays("weights")["item"]
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json as jsonlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors import numpy as safetensors_numpy

from tastemaker import atomic
from tastemaker.errors import ArtifactError, UsageError

__all__ = ["FORMAT", "Artifact", "checked_name", "load", "replacing", "save", "write_atomic"]

FORMAT = 1
"""The version this code writes, and the only one it reads."""

Array: TypeAlias = npt.NDArray[Any]

_MANIFEST = "manifest.json"
_CARD = "README.md"
_FREE = {_CARD, ".gitattributes"}
"""Files that may lie beside those of the manifest: a card for people, and what model hubs add."""
_MEBIBYTE = 2**20
_MAX_JSON = 8 * _MEBIBYTE
_MAX_HEADER = 4 * _MEBIBYTE
_MAX_UNPACKED = 128 * _MEBIBYTE
"""A table may unpack to this, or to `_MAX_RATIO` times its file, whichever is more."""
_MAX_RATIO = 200
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def save(
    path: str | os.PathLike[str],
    *,
    kind: str,
    arrays: Mapping[str, Array | Mapping[str, Array]] | None = None,
    json: Mapping[str, object] | None = None,
    frames: Mapping[str, pl.DataFrame] | None = None,
    parts: Mapping[str, str | os.PathLike[str]] | None = None,
    card: str | None = None,
) -> None:
    """``path`` is an artefact of this content, or, if anything fails, exactly what it was before.

    Each key names a file (``"collab/model"`` lands in a sub-directory). In ``arrays`` a mapping becomes a file of
    that name; arrays given directly share the file ``arrays``. Numbers must be finite. ``parts`` are directories
    that hold artefacts; each is copied into a sub-directory, from which it can be loaded by itself. ``card`` becomes
    the ``README.md``, which people may edit. A directory that is not an artefact of that kind, or that holds files
    of someone else, is never replaced. Raises `ArtifactError`.
    """
    files = _encoded(arrays or {}, json or {}, frames or {})
    for name, part in (parts or {}).items():
        files |= _part(name, part)
    entries = {name: {"sha256": _sha256(data), "size": len(data)} for name, data in files.items()}
    manifest = {"format": FORMAT, "kind": checked_name(kind), "files": entries}
    files |= {_MANIFEST: _json_bytes(_MANIFEST, manifest)} | ({} if card is None else {_CARD: card.encode()})
    try:
        atomic.write_directory(path, files, may_replace=lambda root: _require_replaceable(root, path, kind))
    except OSError as error:
        raise ArtifactError(f"{path}: not saved ({error.strerror or error}); what was there before is kept") from error


def load(path: str | os.PathLike[str], kind: str) -> Artifact:
    """The artefact at ``path``, read and verified whole. Raises `ArtifactError` if any byte is not as saved."""
    root = atomic.find_directory(path)
    manifest = _read_manifest(root, path)
    if manifest.kind != kind:
        raise ArtifactError(f"{path}: holds a {manifest.kind!r}, not a {kind!r}")
    present = set(_walk(root, path)) - {_MANIFEST}
    if strange := present - manifest.files.keys() - _FREE:
        raise ArtifactError(f"{path}: {min(strange)} is not in its manifest; move it elsewhere")
    if missing := manifest.files.keys() - present:
        raise ArtifactError(f"{path}: {min(missing)} is missing; save it again or copy it anew")
    return Artifact(str(path), kind, {n: _verified(root, n, e, path) for n, e in manifest.files.items()})


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """One file holds ``data``, or what it held before. Raises `ArtifactError`."""
    with _told(path):
        atomic.write_atomic(path, data)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Where to write what is too large for `write_atomic`; it becomes ``path`` whole or not at all.

    Raises `ArtifactError`.
    """
    with _told(path), atomic.replacing(path) as temporary:
        yield temporary


def checked_name(name: str) -> str:
    """``name`` itself, if it is safe as a file name on any system. Raises `UsageError`."""
    if not _NAME.fullmatch(name) or name.endswith(".") or _DEVICES.fullmatch(name):
        raise UsageError(f"{name[:40]!a} is not a name; use up to 64 of a-z 0-9 . _ - and begin with a letter or digit")
    return name


@dataclass(frozen=True)
class Artifact:
    """What `load` read: each accessor parses one verified file. A name may be given with or without its suffix."""

    path: str
    kind: str
    _files: Mapping[str, bytes] = field(repr=False)

    @property
    def names(self) -> list[str]:
        """The files, with suffix, sorted."""
        return sorted(self._files)

    def arrays(self, name: str = "arrays") -> dict[str, Array]:
        """The named arrays of one file, all finite. Raises `ArtifactError`."""
        data, where = self._bytes(name, ".safetensors")
        if len(data) < 8 or int.from_bytes(data[:8], "little") > _MAX_HEADER:
            raise ArtifactError(f"{where}: its header is not one")
        try:
            found = safetensors_numpy.load(data)
        except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
            raise ArtifactError(f"{where}: not safetensors that this version reads ({_first_line(error)})") from error
        for key, array in found.items():
            _require_numbers(f"{where}: array {key!r}", array)
        return found

    def json(self, name: str) -> Any:
        """One JSON value. It is data of unknown shape: validate it. Raises `ArtifactError`."""
        data, where = self._bytes(name, ".json")
        return _parse_json(data, where)

    def frame(self, name: str) -> pl.DataFrame:
        """One table. Raises `ArtifactError`."""
        data, where = self._bytes(name, ".parquet")
        try:
            rows = pl.scan_parquet(io.BytesIO(data)).select(pl.len()).collect().item()
            width = len(pl.read_parquet_schema(io.BytesIO(data)))
            if 8 * rows * width > max(_MAX_UNPACKED, _MAX_RATIO * len(data)):
                raise ArtifactError(f"{where}: {rows} rows in {len(data)} bytes would not fit in memory; refused")
            return pl.read_parquet(io.BytesIO(data))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, OSError, MemoryError) as error:
            raise ArtifactError(f"{where}: not parquet that this version reads ({_first_line(error)})") from error

    def _bytes(self, name: str, suffix: str) -> tuple[bytes, str]:
        file = name.removesuffix(suffix) + suffix
        if file not in self._files:
            raise ArtifactError(f"{self.path}: has no {file}; it has {', '.join(self.names) or 'nothing'}")
        return self._files[file], f"{self.path}/{file}"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    format: int
    kind: str
    files: dict[str, _Entry]


@contextlib.contextmanager
def _told(path: object) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArtifactError(f"{path}: not written ({error.strerror or error}); what was there is kept") from error


def _encoded(
    arrays: Mapping[str, Array | Mapping[str, Array]], json: Mapping[str, object], frames: Mapping[str, pl.DataFrame]
) -> dict[str, bytes]:
    loose = {name: value for name, value in arrays.items() if not isinstance(value, Mapping)}
    grouped = {name: value for name, value in arrays.items() if isinstance(value, Mapping)}
    if loose and "arrays" in grouped:
        raise ArtifactError("arrays given directly and a group named 'arrays' would share one file; rename the group")
    if loose:
        grouped["arrays"] = loose
    files = {_file(name, ".safetensors"): _array_bytes(name, group) for name, group in grouped.items()}
    files |= {_file(name, ".json"): _json_bytes(name, value) for name, value in json.items()}
    files |= {_file(name, ".parquet"): _frame_bytes(frame) for name, frame in frames.items()}
    if _MANIFEST in files:
        raise ArtifactError("'manifest' is the artefact's own file; give yours another name")
    return files


def _part(name: str, path: str | os.PathLike[str]) -> dict[str, bytes]:
    """The files of the artefact at ``path``, verified, under ``name``."""
    root = atomic.find_directory(path)
    found = {file: _verified(root, file, entry, path) for file, entry in _read_manifest(root, path).files.items()}
    found[_MANIFEST] = _read(root / _MANIFEST, path)
    return {_file(f"{name}/{file}", _suffix(file)): data for file, data in found.items()}


def _file(name: str, suffix: str) -> str:
    """The file a name stands for, each part of it safe."""
    file = name.removesuffix(suffix) + suffix
    for part in file.split("/"):
        checked_name(part)
    return file


def _array_bytes(name: str, arrays: Mapping[str, Array]) -> bytes:
    if "__metadata__" in arrays:
        raise ArtifactError(f"{name!r} has an array '__metadata__', a word of the file format; give it another name")
    for key, array in arrays.items():
        _require_numbers(f"array {key!r} of {name!r}", array)
    return safetensors_numpy.save({key: np.asarray(array, order="C") for key, array in arrays.items()})


def _require_numbers(what: str, array: Array) -> None:
    if array.dtype.kind not in "biuf":
        raise ArtifactError(f"{what} is of type {array.dtype}, not of numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ArtifactError(f"{what} holds NaN or infinite numbers")


def _frame_bytes(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _json_bytes(name: str, value: object) -> bytes:
    try:
        data = jsonlib.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{name!r} cannot be written as JSON: {_first_line(error)}") from error
    if len(data) > _MAX_JSON:
        raise ArtifactError(f"{name!r} is {len(data)} bytes of JSON, more than {_MAX_JSON}; save it as a table")
    return data


def _parse_json(data: bytes, where: str) -> Any:
    if len(data) > _MAX_JSON:
        raise ArtifactError(f"{where}: {len(data)} bytes of JSON, more than {_MAX_JSON}; refused")
    try:
        return jsonlib.loads(data.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{where}: not JSON ({_first_line(error)})") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _read_manifest(root: Path, path: object) -> _Manifest:
    if not root.is_dir():
        raise ArtifactError(f"{path}: no such directory")
    if not (root / _MANIFEST).is_file():
        raise ArtifactError(f"{path}: not saved by tastemaker, it has no {_MANIFEST}")
    value = _parse_json(_read(root / _MANIFEST, path), f"{path}/{_MANIFEST}")
    if isinstance(value, dict) and value.get("format") != FORMAT:
        found = ascii(value.get("format"))[:20]
        raise ArtifactError(f"{path}: of format {found}, this version reads {FORMAT}; use the one that saved it")
    try:
        manifest = _Manifest.model_validate(value)
        for name in manifest.files:
            _file(name, _suffix(name))
    except (ValidationError, UsageError) as error:
        raise ArtifactError(f"{path}/{_MANIFEST}: damaged or foreign ({_first_line(error)})") from error
    return manifest


def _suffix(name: str) -> str:
    suffix = Path(name).suffix
    if suffix not in {".safetensors", ".parquet", ".json"}:
        raise UsageError(f"{name[:40]!a} is not safetensors, parquet or JSON")
    return suffix


def _walk(root: Path, path: object) -> Iterator[str]:
    """Every file under ``root``, relative. Raises `ArtifactError` at anything but files and directories."""
    for folder, folders, names in os.walk(root):
        for name in folders + names:
            full = Path(folder, name)
            mode = full.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise ArtifactError(f"{path}: {full.relative_to(root)} is not a plain file or directory; refused")
            if stat.S_ISREG(mode):
                yield full.relative_to(root).as_posix()


def _verified(root: Path, name: str, entry: _Entry, path: object) -> bytes:
    data = _read(root / name, path, size=entry.size)
    if _sha256(data) != entry.sha256:
        raise ArtifactError(f"{path}/{name}: damaged, its bytes are not those that were saved; copy or save it anew")
    return data


def _read(file: Path, path: object, *, size: int | None = None) -> bytes:
    """A file of ``size`` bytes, or, without it, of at most `_MAX_JSON`; a wrong size is refused before reading."""
    try:
        with file.open("rb") as stream:
            found = os.fstat(stream.fileno()).st_size
            if found != size if size is not None else found > _MAX_JSON:
                raise ArtifactError(f"{path}: {file.name} is damaged, it has {found} bytes; copy or save it anew")
            return stream.read()
    except OSError as error:
        raise ArtifactError(f"{path}: {file.name} cannot be read ({error.strerror or error})") from error


def _require_replaceable(root: Path, path: object, kind: str) -> None:
    if not root.is_dir():
        raise ArtifactError(f"{path}: a file is there; choose another path or move it")
    if not any(root.iterdir()):
        return
    there = _read_manifest(root, path)
    if there.kind != kind:
        raise ArtifactError(f"{path}: holds a {there.kind!r}, which a {kind!r} would replace; choose another path")
    if strange := set(_walk(root, path)) - there.files.keys() - {_MANIFEST} - _FREE:
        raise ArtifactError(f"{path}: holds {min(strange)}, which saving would delete; choose another path or move it")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]
