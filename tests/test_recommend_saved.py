"""A saved recommender answers the same without any training data; one that is damaged or forged is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from films import N_FILMS, N_USERS, films_split
from listed import list_more_methods

from tastemaker import Recommender, artifacts, collab
from tastemaker.errors import ArtifactError, UsageError

SPLIT = films_split()
DATA = SPLIT.dataset
USERS = [f"u{u}" for u in range(N_USERS)]


@pytest.fixture
def tuned(monkeypatch: pytest.MonkeyPatch) -> Recommender:
    list_more_methods(monkeypatch)
    retriever = collab.models.get("cooccurrence")().fit(SPLIT)
    from tastemaker import methods

    ranker = methods.registry.get("next-film")(llm="none", collab=retriever, bonus=5.0).tune(SPLIT)  # type: ignore[call-arg]
    return Recommender(retriever, ranker, SPLIT, n_candidates=20)


def test_a_saved_recommender_needs_no_training_data(tuned: Recommender, tmp_path: Path) -> None:
    tuned.save_pretrained(tmp_path / "run" / "model")
    for path in (tmp_path / "run" / "model", tmp_path / "run"):
        loaded = Recommender.from_pretrained(path)
        assert loaded.recommend(users=USERS).equals(tuned.recommend(users=USERS))
        assert loaded.score([("u0", "f9")]).equals(tuned.score([("u0", "f9")]))
        assert loaded.explain("f9", user="u0") == tuned.explain("f9", user="u0")
        assert loaded.n_candidates == 20
    names = {p.name for p in (tmp_path / "run" / "model").iterdir()}
    shape = {"config.json", "model.safetensors", "items.parquet", "histories.parquet", "README.md", "ranker"}
    assert names == shape | {"manifest.json"}
    assert "cooccurrence proposes 20" in (tmp_path / "run" / "model" / "README.md").read_text()


def test_histories_may_be_kept_back(tuned: Recommender, tmp_path: Path) -> None:
    tuned.save_pretrained(tmp_path / "model", histories=False)
    assert artifacts.load(tmp_path / "model", "recommender").frame("histories").is_empty()
    loaded = Recommender.from_pretrained(tmp_path / "model")
    expected = tuned.recommend(histories=[["f1", "f2"]])
    assert loaded.recommend(histories=[["f1", "f2"]]).equals(expected)
    with pytest.raises(UsageError, match="no user with id 'u0'"):
        loaded.recommend(users=["u0"])


def test_with_the_histories_the_vectors_of_users_are_kept_back(tmp_path: Path) -> None:
    model: Any = collab.models.get("bpr-mf")(epochs=2).fit(SPLIT)
    for retriever in (model, collab.models.get("ensemble").of([model])):  # type: ignore[attr-defined]
        recommender = Recommender(retriever, data=SPLIT)
        recommender.save_pretrained(tmp_path / "model", histories=False)
        arrays = artifacts.load(tmp_path / "model", "recommender").arrays("model")
        assert not any(array.any() for name, array in arrays.items() if name.endswith("users"))
        assert not any(len(array) == N_USERS for array in arrays.values())
        loaded, asked = Recommender.from_pretrained(tmp_path / "model"), [["f1", "f2"]]
        assert loaded.recommend(histories=asked).equals(recommender.recommend(histories=asked))
        assert recommender.recommend(users=["u1"]).equals(Recommender(retriever, data=SPLIT).recommend(users=["u1"]))


def test_a_damaged_or_foreign_directory_is_told(tuned: Recommender, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such directory"):
        Recommender.from_pretrained(tmp_path / "nowhere")
    DATA.save(tmp_path / "data")
    with pytest.raises(ArtifactError, match="not a 'recommender'"):
        Recommender.from_pretrained(tmp_path / "data")
    tuned.save_pretrained(tmp_path / "model")
    weights = tmp_path / "model" / "ranker" / "collab" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(ArtifactError, match=r"model\.safetensors.*damaged"):
        Recommender.from_pretrained(tmp_path / "model")


def resaved(source: Path, to: Path, **changed: Any) -> Path:
    """The recommender with parts of it replaced and everything signed anew."""
    found = artifacts.load(source, "recommender")
    parts = {
        "json": {"config": changed.get("config", found.json("config"))},
        "arrays": {"model": changed.get("model", found.arrays("model"))},
        "frames": {name: changed.get(name, found.frame(name)) for name in ("items", "histories")},
    }
    artifacts.save(to, kind="recommender", parts={"ranker": source / "ranker"}, **parts)  # type: ignore[arg-type]
    return to


def test_parts_that_do_not_fit_are_refused(tuned: Recommender, tmp_path: Path) -> None:
    tuned.save_pretrained(tmp_path / "a")
    good = artifacts.load(tmp_path / "a", "recommender")
    items, histories, config = good.frame("items"), good.frame("histories"), good.json("config")
    beyond = histories.with_columns(items=pl.Series([[N_FILMS]] * N_USERS, dtype=pl.List(pl.Int32)))
    twice = pl.concat([histories, histories[:1]])
    wrong = [
        {"items": items[:-1]},
        {"items": pl.concat([items, items[:1].with_columns(item_id=pl.lit("f99"))])},
        {"items": items.drop("title")},
        {"items": items.with_columns(item_id=pl.lit("f1"))},
        {"histories": beyond},
        {"histories": twice},
        {"histories": histories.rename({"items": "things"})},
        {"config": config | {"ranker": "os"}},
        {"config": config | {"more": 1}},
        {"config": config | {"retriever": {"name": "sasrec"}}},
        {"config": []},
        {"model": {}},
    ]
    for number, change in enumerate(wrong):
        path = resaved(tmp_path / "a", tmp_path / f"b{number}", **change)
        with pytest.raises(ArtifactError) as caught:
            Recommender.from_pretrained(path)
        assert "\n" not in str(caught.value)
    assert Recommender.from_pretrained(resaved(tmp_path / "a", tmp_path / "c")).n_candidates == 20


def test_a_failed_save_keeps_the_old_one(tuned: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned.save_pretrained(tmp_path / "model")
    before = tuned.recommend(users=USERS)
    tuned.n_candidates = 3

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("tastemaker.atomic._write", full)
        with pytest.raises(ArtifactError, match="No space left"):
            tuned.save_pretrained(tmp_path / "model")
    assert Recommender.from_pretrained(tmp_path / "model").recommend(users=USERS).equals(before)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
