"""A saved LLaRA: whole, verified, and nothing in it about any user."""

from __future__ import annotations

import numpy as np
import pytest
from quick_llara import CHOICE, TIMELINE

from tastemaker import artifacts
from tastemaker.errors import ArtifactError
from tastemaker.methods import llara
from tastemaker.methods.llara import LLaRA
from tastemaker.testing.methods import asked, chains, under, write_lm


@pytest.mark.parametrize("content", ["hybrid", "text", "behaviour", "index"])
def test_every_content_and_curriculum_is_saved_and_loaded(content, tmp_path):
    base = str(write_lm(tmp_path / "lm"))
    for settings in ({**TIMELINE, "epochs": 1}, {**CHOICE, "max_steps": 1}):
        for curriculum in ("text", "direct"):
            method = LLaRA(base, under(), **{**settings, "content": content, "curriculum": curriculum}).tune(chains())
            method.save(tmp_path / "saved")
            for a, b in zip(
                method.score(asked(chains())), LLaRA.load(tmp_path / "saved").score(asked(chains())), strict=True
            ):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("settings", [TIMELINE, CHOICE], ids=["timeline", "choice"])
def test_what_is_saved_after_a_text_only_batch_is_whole(settings, tmp_path):
    base = str(write_lm(tmp_path / "lm"))
    method = LLaRA(base, under(), **settings).tune(chains())
    before = method.score(asked(chains()))
    method.reading.projector.hybrid = False
    method.reading.projector.requires_grad_(False)
    method.save(tmp_path / "saved")
    for a, b in zip(before, LLaRA.load(tmp_path / "saved").score(asked(chains())), strict=True):
        np.testing.assert_array_equal(a, b)


def resaved(path, to, **changes):
    """The artefact with some of its JSON changed, and a manifest that says all is well."""
    found = artifacts.load(path, llara.KIND)
    arrays = {name: found.arrays(name) for name in ("adapter_model", "projector", "collab", "texts")}
    about = {**found.json("llara"), **changes.pop("llara", {})}
    items = changes.pop("items", lambda frame: frame)(found.frame("items"))
    artifacts.save(
        to,
        kind=llara.KIND,
        arrays={**arrays, **changes},
        json={"llara": about, "adapter_config": found.json("adapter_config")},
        frames={"items": items},
    )
    return to


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llara")
    method = LLaRA(str(write_lm(folder / "lm")), under(), **{**TIMELINE, "epochs": 1}).tune(chains())
    method.save(folder / "saved")
    return folder / "saved"


@pytest.mark.parametrize(
    "changes",
    [
        {"llara": {"weight": 2.0}},
        {"llara": {"weight": "none"}},
        {"llara": {"llm": {"name": "tiny"}}},
        {"llara": {"config": {"reading": "tea leaves"}}},
        {"llara": {"config": {"text_size": 4, "lora_r": 3}}},
        {"llara": {"class": "os.system"}},
        {"llara": {"collab": {"name": "sasrec"}}},
        {"items": lambda items: items.drop("title")},
        {"items": lambda items: items.drop("item_id")},
        {"items": lambda items: items.with_columns(title=None)},
        {"items": lambda items: items.with_columns(title=1)},
        {"items": lambda items: items.head(3)},
        {"texts": {"texts": np.zeros((3, 4), dtype=np.float32)}},
        {"projector": {"projector.first.weight": np.zeros((2, 2), dtype=np.float32)}},
        {"adapter_model": {"a": np.zeros(1, dtype=np.float32)}},
    ],
)
def test_parts_that_do_not_fit_together_are_refused(saved, changes, tmp_path):
    with pytest.raises(ArtifactError) as refused:
        LLaRA.load(resaved(saved, tmp_path / "other", **changes))
    assert "\n" not in str(refused.value)


def test_peft_reads_what_is_saved(saved):
    found = artifacts.load(saved, llara.KIND)
    config = found.json("adapter_config")
    assert (config["peft_type"], config["r"], config["task_type"]) == ("LORA", 8, "CAUSAL_LM")
    assert all(name.startswith("base_model.model.") for name in found.arrays("adapter_model"))


def test_nothing_of_any_user_is_saved(saved):
    found = artifacts.load(saved, llara.KIND)
    assert [name for name in found.names if name.endswith(".parquet")] == ["items.parquet"]
    assert LLaRA.load(saved).catalogue.n_users == 0
