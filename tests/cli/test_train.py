"""tastemaker train: a run is written whole, goes on where it stopped, and never over something else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from shell import tastemaker

from tastemaker import Recommender
from tastemaker.cli._configured import configured
from tastemaker.config import write_config

LOO = ("-o", "split.k_core=0")


def config(run: Path) -> Any:
    return yaml.safe_load((run / "config.yaml").read_text())


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_collaborative_model_becomes_a_recommender(counted: Path) -> None:
    assert names(counted) == ["config.yaml", "model"]
    assert Recommender.from_pretrained(counted).recommend(users=["u0"], n=3).height == 3
    found = config(counted)
    assert found["train"] == "cooccurrence"
    assert found["settings"] == {"recency": 0.8, "window": 10}
    assert found["data"]["settings"] == {"k_core": 0}
    assert len(found["data"]["hash"]) == 64
    assert (found["llm"], found["collab"], found["seed"]) == (None, None, 0)


def test_a_method_is_tuned_on_its_collaborative_model(tuned: Path) -> None:
    assert names(tuned) == ["config.yaml", "log.jsonl", "model"]
    found = config(tuned)
    assert found["settings"] == {"bonus": 10.0, "interrupt_at": None, "steps": 4}
    assert found["collab"]["name"] == "cooccurrence"
    assert found["llm"] == "smollm2-135m"
    recommender = Recommender.from_pretrained(tuned)
    assert recommender.recommend(histories=[["f3", "f4"]], n=1)["item_id"].to_list() == ["f5"]


def test_a_neural_model_leaves_a_log(data: Path, tmp_path: Path) -> None:
    settings = ("-o", "epochs=2", "-o", "embedding_size=8", *LOO)
    tastemaker("train", "gru4rec", "--data", data, "--out", tmp_path / "run", *settings).ok()
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert all(0 <= row["valid"] <= 1 for row in rows)


def test_results_are_told(data: Path, tmp_path: Path) -> None:
    done = tastemaker("train", "popularity", "--data", data, "--out", tmp_path / "a", *LOO).ok()
    assert done.out == f"{tmp_path / 'a' / 'model'}\n"
    assert done.err.splitlines()[-1] == f"{tmp_path / 'a'}: trained"
    told = tastemaker("train", "popularity", "--data", data, "--out", tmp_path / "a", *LOO, "--json").json
    assert told["finished_before"] is True
    assert told["model"] == str(tmp_path / "a" / "model")


def test_the_same_command_again_does_nothing(counted: Path, data: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in counted.rglob("*") if p.name != "config.yaml"}
    done = tastemaker("train", "cooccurrence", "--data", data, "--out", counted, *LOO).ok()
    assert "nothing to do" in done.err
    assert {p: p.stat().st_mtime_ns for p in counted.rglob("*") if p.name != "config.yaml"} == before


def test_an_interrupted_run_goes_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    command = ("train", "next-film", "--data", data, "--collab", "cooccurrence", "--out", run, *LOO)
    settings = ("-o", "steps=5", "-o", "interrupt_at=2")
    tastemaker(*command, *settings).fails(130, "stopped after step 2", "repeat the command")
    assert names(run) == ["checkpoints", "collab", "config.yaml", "log.jsonl"]
    monkeypatch.setattr("tastemaker.cli._training.fit_model", lambda *a: pytest.fail("fitted twice"))
    tastemaker(*command, *settings).ok()
    steps = [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 5]
    assert names(run) == ["config.yaml", "log.jsonl", "model"]


def test_another_run_is_not_touched(counted: Path, data: Path) -> None:
    command = ("train", "cooccurrence", "--data", data, "--out", counted, *LOO)
    tastemaker(*command, "-o", "window=3").fails(2, "settings.window was 10, is now 3", "--overwrite")
    tastemaker(*command, "--seed", 1).fails(2, "seed was 0, is now 1")
    tastemaker(*command[:-2], "-o", "split.k_core=2").fails(2, "k_core")


def test_overwrite_starts_anew_and_spares_what_is_not_ours(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ("train", "popularity", "--data", data, "--out", run, *LOO)
    tastemaker(*command).ok()
    (run / "notes.txt").write_text("mine")
    tastemaker("train", "cooccurrence", *command[2:], "--overwrite").ok()
    assert names(run) == ["config.yaml", "model", "notes.txt"]
    assert config(run)["train"] == "cooccurrence"


def test_a_foreign_directory_is_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    command = ("train", "popularity", "--data", data, "--out", tmp_path, *LOO)
    tastemaker(*command).fails(2, "not empty and holds no run")
    assert names(tmp_path) == ["photo.jpg"]
    tastemaker("train", "popularity", "--data", data, "--out", tmp_path / "photo.jpg", *LOO).fails(2, "is a file")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(b"x")
    tastemaker(*command, "--overwrite").fails(2, "model")
    assert (tmp_path / "model" / "weights.bin").read_bytes() == b"x"


def test_overwrite_neither_spoils_nor_takes_over_what_was_saved(counted: Path, data: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    shutil.copytree(counted / "model", saved)
    before = names(saved)
    tastemaker("train", "popularity", "--data", data, "--out", saved, *LOO, "--overwrite").fails(2, "is no run")
    assert names(saved) == before
    run = tmp_path / "run"
    shutil.copytree(counted / "model", run / "model")
    tastemaker("train", "popularity", "--data", data, "--out", run, *LOO, "--overwrite").ok()
    assert json.loads((run / "model" / "config.json").read_text())["retriever"]["name"] == "popularity"


def test_a_run_is_repeated_from_its_config(counted: Path, data: Path, tmp_path: Path) -> None:
    tastemaker("train", "--config", counted / "config.yaml", "--out", tmp_path / "again").ok()
    assert config(tmp_path / "again") == config(counted)
    varied = ("--config", counted / "config.yaml", "--out", tmp_path / "varied", "-o", "window=2", "--seed", "3")
    tastemaker("train", *varied).ok()
    assert config(tmp_path / "varied")["settings"] == {"recency": 0.8, "window": 2}
    tastemaker("train", "popularity", "--config", counted / "config.yaml", "--out", tmp_path / "other").ok()
    assert config(tmp_path / "other")["settings"] == {"half_life_days": None}


def test_varying_one_setting_of_a_group_leaves_the_others(tmp_path: Path) -> None:
    given = ["settings.sasrec.embedding_size=128", "settings.gru4rec.epochs=3"]
    first = configured(None, {"train": "ensemble"}, given)
    write_config(tmp_path / "config.yaml", first)
    varied = configured(tmp_path / "config.yaml", {}, ["settings.sasrec.epochs=2"])
    assert varied.settings["settings"] == {"sasrec": {"embedding_size": 128, "epochs": 2}, "gru4rec": {"epochs": 3}}


def test_a_config_is_bound_to_its_data(counted: Path, tmp_path: Path) -> None:
    changed = config(counted)
    changed["data"]["hash"] = "0" * 64
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(changed))
    tastemaker("train", "--config", tmp_path / "config.yaml", "--out", tmp_path / "x").fails(2, "hash differs")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sasrecc"], "no method or collaborative model named 'sasrecc'; did you mean 'sasrec'"),
        ([], "say what to train"),
        (["popularity", "-o", "half_life=3"], "half_life"),
        (["sasrec", "-o", "epochs=-1"], "epochs"),
        (["sasrec", "-o", "epochs"], "setting=value"),
        (["popularity", "--llm", "x"], "llm is for methods"),
        (["popularity", "-o", "collab.epochs=1"], "collab is for methods"),
        (["popularity", "-o", "split=user-ratio"], "--split"),
        (["popularity", "--split", "leave-two-out"], "did you mean 'leave-one-out'"),
        (["popularity", "-o", "split.kcore=1"], "did you mean 'k_core'"),
        (["popularity", "-o", "data.colums.user_id=u"], "did you mean 'columns'"),
        (["popularity", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["next-film", "-o", "bonus=-1"], "bonus"),
        (["next-film", "--collab", "sasrecs"], "did you mean 'sasrec'"),
        (["next-film", "-o", "collab.epoch=1"], "epoch"),
        (["next-film", "--llm", "smolm2-135m"], "did you mean 'smollm2-135m'"),
        (["next-film", "--llm", str(Path(__file__).parent)], "no language model here"),
        (["llara", "--collab", "cooccurrence"], "llara reads item vectors, and cooccurrence has none"),
        (["palr", "--collab", "ease"], "palr reads item vectors, and ease has none"),
        (["collm", "--collab", "item-rate"], "collm reads item vectors, and item-rate has none"),
    ],
)
def test_what_cannot_be_trained_leaves_nothing(arguments: list[str], told: str, data: Path, tmp_path: Path) -> None:
    tastemaker("train", *arguments, "--data", data, "--out", tmp_path / "run").fails(2, told)
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_told_and_leaves_no_model(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **settings: object) -> None:
        raise OSError(28, "No space left on device")

    command = ("train", "popularity", "--data", data, "--out", tmp_path / "run", *LOO)
    with monkeypatch.context() as disk:
        disk.setattr("tastemaker.atomic.write_directory", full)
        tastemaker(*command).fails(2, "No space left on device")
    assert names(tmp_path / "run") == ["config.yaml"]
    tastemaker(*command).ok()


def test_config_prints_settings() -> None:
    assert "window: 10" in tastemaker("config", "cooccurrence").ok().out
    assert tastemaker("config", "cooccurrence", "-o", "window=3", "--json").json == {"recency": 0.8, "window": 3}
    assert "bonus: 10.0" in tastemaker("config", "next-film").ok().out
    assert "k_core: 5" in tastemaker("config", "leave-one-out").ok().out
    assert (
        "draws: 100" in tastemaker("config", "llara").ok().out or "mode: default" in tastemaker("config", "llara").out
    )
    assert tastemaker("config", "mf", "--json").json == tastemaker("config", "pointwise.mf", "--json").json
    assert tastemaker("config", "pointwise.sasrec", "--json").json != tastemaker("config", "sasrec", "--json").json
    assert "collaborative models: " in tastemaker("config").ok().out
    assert "next-film" in tastemaker("config", "--json").json["methods"]
    tastemaker("config", "cooccurence").fails(2, "did you mean 'cooccurrence'")
    tastemaker("config", "cooccurrence", "-o", "widow=3").fails(2, "did you mean 'window'")
