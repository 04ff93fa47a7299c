"""tastemaker demo and doctor: the whole main job on thirty films, and a look at this machine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from shell import Outcome, tastemaker

from tastemaker import Recommender
from tastemaker.cli import _demo
from tastemaker.llm.sentences import SentenceEncoder
from tastemaker.testing.tiny_encoder import tiny_encoder


@pytest.fixture(autouse=True)
def _small_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SentenceEncoder, "load", staticmethod(tiny_encoder))


def demo(data: Path, out: Path, *more: object) -> Outcome:
    made_of = "collab.members=[popularity, cooccurrence]"
    own = ("--method", "next-film", "--collab", "ensemble", "-o", made_of, "-o", "split.k_core=0")
    return tastemaker("demo", "--data", data, "--out", out, *own, *more)


def test_the_main_job_from_data_to_report(data: Path, tmp_path: Path) -> None:
    done = demo(data, tmp_path / "demo").ok()
    for row in ("popularity", "cooccurrence", "ensemble", "next-film", "Paired by user"):
        assert row in done.out
    assert done.out.count("recommended") >= 3
    assert done.out.count("in the history speak") >= 3
    assert "of memory" in done.out.splitlines()[-1]
    assert re.findall(r"^\d/6", done.err, re.MULTILINE) == [f"{step}/6" for step in range(1, 7)]
    names = {p.name for p in (tmp_path / "demo").iterdir()}
    assert {"config.yaml", "log.jsonl", "model", "result.json", "result.parquet", "report.html"} <= names
    examples = json.loads((tmp_path / "demo" / "examples.json").read_text())
    assert len(examples) == 3
    assert all(len(one["suggestions"]) == 5 and one["chosen"] not in one["history"] for one in examples)
    assert examples[0]["chosen"] == examples[0]["suggestions"][0]["title"]
    page = (tmp_path / "demo" / "report.html").read_text()
    assert examples[0]["suggestions"][0]["title"] in page
    assert Recommender.from_pretrained(tmp_path / "demo").recommend(users=["u0"], n=2).height == 2


def test_what_is_done_is_not_done_again(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo(data, tmp_path / "demo").ok()
    for name in ("train_run", "evaluate", "fit_model"):
        monkeypatch.setattr(_demo, name, lambda *a, **o: pytest.fail("done again"))
    done = demo(data, tmp_path / "demo").ok()
    assert done.err.count("(kept)") == 3
    assert "next-film" in done.out
    demo(data, tmp_path / "demo", "--seed", 1).fails(2, "seed was 0, is now 1")


def test_a_demo_that_was_stopped_goes_on(data: Path, tmp_path: Path) -> None:
    settings = ("-o", "interrupt_at=2")
    assert demo(data, tmp_path / "demo", *settings).code == 130
    demo(data, tmp_path / "demo", *settings).ok()
    steps = [json.loads(line)["step"] for line in (tmp_path / "demo" / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]


def test_a_demo_without_a_network_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tastemaker.data import _http, _pip
    from tastemaker.errors import SourceError

    def offline(*arguments: Any) -> None:
        raise SourceError("its host cannot be found")

    monkeypatch.setattr(_http, "download", offline)
    monkeypatch.setattr(_pip, "download", offline)
    done = tastemaker("demo", "--out", tmp_path / "demo")
    assert done.code == 1
    assert "By hand" in done.err.splitlines()[-1]
    assert not (tmp_path / "demo").exists()


def test_doctor_looks_at_everything_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = {check["name"]: check for check in tastemaker("doctor", "--json").json if check["name"]}
    assert {"tastemaker", "packages", "torch", "memory", "disk", "cache", "ml-100k", "smollm2-135m"} <= told.keys()
    assert told["ml-100k"]["state"] == "missing"
    assert "tastemaker data fetch ml-100k" in told["ml-100k"]["advice"]
    assert "threads" in told["torch"]["told"]
    (tmp_path / "cache" / "llm" / "smollm2-135m-x").mkdir(parents=True)
    (tmp_path / "cache" / "ml-100k-12345678").mkdir()
    done = tastemaker("doctor").ok()
    assert "smollm2-135m" in done.out
    assert "ml-100k: comes" not in done.out


def test_doctor_fails_where_nothing_would_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from tastemaker.cli import _checks

    monkeypatch.setattr(_checks, "NEEDED_DISK", 1e30)
    done = tastemaker("doctor")
    assert done.code == 1
    assert "disk: free some space" in done.out


def test_doctor_tells_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:canary@example.invalid")
    done = tastemaker("doctor")
    assert "canary" not in done.out + done.err


def test_doctor_tries_the_network_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from tastemaker.cli import _checks

    tried: list[Any] = []

    def offline(place: Any, timeout: float) -> Any:
        tried.append(place)
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(_checks.socket, "create_connection", offline)
    tastemaker("doctor").ok()
    assert tried == []
    assert "Network is unreachable" in tastemaker("doctor", "--network").ok().out
    assert tried


@pytest.mark.parametrize(("numbers", "layers"), [(torch.bfloat16, []), (torch.float32, ["layers=6"])])
def test_where_bf16_gains_nothing_fewer_layers_are_tuned(
    monkeypatch: pytest.MonkeyPatch, numbers: torch.dtype, layers: list[str]
) -> None:
    monkeypatch.setattr(_demo, "fastest", lambda device: numbers)
    assert _demo.hurried("llara") == ["epochs=3", *layers]
    assert _demo.hurried("palr") == []
