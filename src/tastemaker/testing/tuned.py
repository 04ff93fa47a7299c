"""A method that is tuned -> the tests of saving, resuming and leaving alone what is not its own."""

from __future__ import annotations

import hashlib
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch

from tastemaker.errors import ArtifactError, Interrupted, LanguageModelError, NotFittedError
from tastemaker.llm import local
from tastemaker.llm.local import LocalLM
from tastemaker.methods.base import Method
from tastemaker.testing.tiny_llm import Family, tiny_lm
from tastemaker.types import Query

Make: TypeAlias = Callable[..., Any]
"""A language model, and maybe settings -> a fresh `Method` over it, whose ``tune`` takes the contract's split."""


def write_lm(path: Path, family: Family = "byte-bpe", *, seed: int = 0) -> Path:
    """A directory with a tiny language model, as transformers saves it."""
    lm = tiny_lm(family, seed=seed)
    lm.model.save_pretrained(path)
    lm.tokenizer.save_pretrained(path)
    return path


def fingerprints(lm: LocalLM) -> dict[str, str]:
    """A hash of every tensor of the language model by its own name, adapters left out."""
    return {
        name.replace(".base_layer", ""): hashlib.sha256(tensor.detach().float().numpy().tobytes()).hexdigest()
        for name, tensor in lm.model.state_dict().items()
        if "lora_" not in name
    }


class TunedContract:
    """What every tuned method keeps to, whatever it is asked.

    A subclass overrides the fixture ``make``: what gives a fresh, untuned method over a language model (a directory
    or a `LocalLM`), with settings that tune in a second or two; and says which split and which queries.
    """

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def exact(cls) -> Iterator[None]:
        """Numbers of full width, whatever this machine is fastest with."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(local, "fastest", lambda device: torch.float32)
            yield

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Make:
        """Gives a fresh method over the language model it is handed."""
        raise NotImplementedError("override the fixture `make`")

    @pytest.fixture(scope="class")
    @classmethod
    def base(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The directory of the language model."""
        return write_lm(tmp_path_factory.mktemp("lm") / "tiny")

    @pytest.fixture(scope="class")
    @classmethod
    def tuned(cls, make: Make, base: Path) -> Method:
        """The method, tuned."""
        found: Method = make(str(base)).tune(cls.split())
        return found

    @pytest.fixture(scope="class")
    @classmethod
    def saved(cls, tuned: Method, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Where the tuned method was saved."""
        path = tmp_path_factory.mktemp("saved") / "method"
        tuned.save(path)
        return path

    @staticmethod
    def split() -> Any:
        """What methods are tuned on."""
        raise NotImplementedError("override `split`")

    @staticmethod
    def queries() -> list[Query]:
        """What they are asked; all of them have candidates."""
        raise NotImplementedError("override `queries`")

    def test_saved_and_loaded_scores_as_before(self, tuned: Method, saved: Path) -> None:
        queries = self.queries()
        loaded = type(tuned).load(saved)
        assert loaded.catalogue.items.equals(tuned.catalogue.items)
        assert loaded.config == tuned.config
        for before, after in zip(tuned.score(queries), loaded.score(queries), strict=True):
            np.testing.assert_array_equal(after, before)

    def test_a_damaged_directory_is_refused(self, tuned: Method, saved: Path, tmp_path: Path) -> None:
        files = sorted(path for path in saved.rglob("*") if path.is_file() and path.name != "README.md")
        assert len(files) > 3
        for file in files:
            whole = file.read_bytes()
            for damaged in (whole[: len(whole) // 2], whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]):
                file.write_bytes(damaged)
                with pytest.raises(ArtifactError):
                    type(tuned).load(saved)
            file.write_bytes(whole)
        with pytest.raises(ArtifactError):
            type(tuned).load(tmp_path / "nothing")

    def test_another_base_model_of_that_name_is_refused(self, tuned: Method, base: Path, saved: Path) -> None:
        weights = base / "model.safetensors"
        before = weights.read_bytes()
        write_lm(base, seed=1)
        try:
            with pytest.raises((ArtifactError, LanguageModelError), match=re.escape(str(base))):
                type(tuned).load(saved)
        finally:
            weights.write_bytes(before)

    def test_the_base_model_is_left_as_it_was(self, make: Make) -> None:
        lm = tiny_lm()
        before = fingerprints(lm)
        method = make(lm).tune(self.split())
        method.score(self.queries()[:2])
        after = fingerprints(lm)
        assert after.keys() <= before.keys()  # a method may use fewer layers
        assert len(after) > 3
        assert {name: before[name] for name in after} == after
        assert not any(p.requires_grad for name, p in lm.model.named_parameters() if "lora_" not in name)

    def test_same_seed_same_scores_and_no_global_generator_is_touched(
        self, tuned: Method, make: Make, base: Path
    ) -> None:
        before = torch.random.get_rng_state(), np.random.get_state(legacy=False)
        again = make(str(base)).tune(self.split())
        assert torch.equal(before[0], torch.random.get_rng_state())
        assert str(before[1]) == str(np.random.get_state(legacy=False))
        for one, two in zip(tuned.score(self.queries()), again.score(self.queries()), strict=True):
            np.testing.assert_array_equal(one, two)

    def test_a_signal_stops_it_and_the_same_call_goes_on(
        self, tuned: Method, make: Make, base: Path, tmp_path: Path
    ) -> None:
        if threading.current_thread() is not threading.main_thread():
            pytest.skip("signals reach the main thread only")
        steps: list[float] = []

        def stop_at_two(task: str, done: float, total: float | None = None, note: str = "") -> None:
            steps.append(done)
            if done == 2 and note:
                signal.raise_signal(signal.SIGTERM)

        with pytest.raises(Interrupted, match="go on"):
            make(str(base)).tune(self.split(), run_dir=tmp_path, progress=stop_at_two)
        assert steps[-1] == 2
        resumed = make(str(base)).tune(self.split(), run_dir=tmp_path)
        for one, two in zip(tuned.score(self.queries()), resumed.score(self.queries()), strict=True):
            np.testing.assert_array_equal(one, two)
        assert (tmp_path / "log.jsonl").is_file()

    def test_an_untuned_method_says_so(self, make: Make, base: Path, tmp_path: Path) -> None:
        query = self.queries()[0]
        method = make(str(base))
        with pytest.raises(NotFittedError, match="tune"):
            method.score([query])
        with pytest.raises(NotFittedError, match="tune"):
            method.rank(Query(()))
        with pytest.raises(NotFittedError, match="tune"):
            method.save(tmp_path / "method")
        assert not list(tmp_path.iterdir())
