"""tastemaker export embeddings: the vectors of the model under a run, by outside ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from films import films_split
from shell import tastemaker

from tastemaker import Recommender, collab
from tastemaker.types import Query

SPLIT = films_split()


class Encoder:
    """Stands for the model that a yes/no method reads, which is not its retriever."""

    item_vectors = np.eye(SPLIT.dataset.n_items, 3, dtype=np.float32)

    def user_vectors(self, queries: Sequence[Query]) -> Any:
        return np.array([[len(query.history), query.user] for query in queries], dtype=np.float32)


@pytest.fixture(scope="module")
def factors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with vectors of users and items, on data with an item and a user that training never saw."""
    path = tmp_path_factory.mktemp("saved") / "factors"
    model = collab.models.get("bpr-mf")(epochs=1, embedding_size=4).fit(SPLIT)
    Recommender(model, data=SPLIT).save_pretrained(path)
    return path


def test_items_have_the_vectors_of_the_model(factors: Path, tmp_path: Path) -> None:
    out = tmp_path / "items.parquet"
    done = tastemaker("export", "embeddings", factors, "--out", out).ok()
    found, recommender = pl.read_parquet(out), Recommender.from_pretrained(factors)
    vectors = recommender.retriever.item_vectors
    known = recommender.retriever.known_items
    assert not known.all()
    assert found.columns == ["item_id", "title", "vector"]
    assert found["item_id"].to_list() == [f"f{i}" for i in np.flatnonzero(known)]
    assert found["title"][0] == "Film 0 (1990)"
    np.testing.assert_array_equal(found["vector"].to_numpy(), vectors[known])
    assert done.out == f"{out}\n"
    assert f"note: {int((~known).sum())} items that training never saw are left out" in done.err
    assert f"{known.sum()} vectors of 5 numbers, of BPRMF" in done.err, "the bias is one of them"


def test_users_have_theirs(factors: Path, tmp_path: Path) -> None:
    out = tmp_path / "users.parquet"
    told = tastemaker("export", "embeddings", factors, "--users", "--out", out, "--json").json
    assert told == {"path": str(out), "model": "BPRMF", "rows": 12, "size": 5, "left_out": 0}
    found, recommender = pl.read_parquet(out), Recommender.from_pretrained(factors)
    assert found["user_id"].to_list() == [f"u{u}" for u in range(12)]
    own = recommender.retriever.user_vectors([recommender.query(user="u7")])
    np.testing.assert_array_equal(found["vector"][7].to_numpy(), own[0])


def test_the_model_that_a_method_reads_comes_before_its_retriever(
    counted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recommender = Recommender.from_pretrained(counted)
    ranker: Any = type("Reader", (), {"collab": Encoder()})()
    recommender.ranker = ranker
    monkeypatch.setattr(Recommender, "from_pretrained", lambda path: recommender)
    told = tastemaker("export", "embeddings", counted, "--out", tmp_path / "items.parquet", "--json").json
    assert (told["model"], told["rows"], told["left_out"]) == ("Encoder", 3, 27)
    tastemaker("export", "embeddings", counted, "--users", "--out", tmp_path / "users.parquet").ok()
    assert pl.read_parquet(tmp_path / "users.parquet")["vector"].to_list()[3] == [8.0, 3.0]


def test_a_model_without_vectors_says_so(tuned: Path, counted: Path, tmp_path: Path) -> None:
    for run in (counted, tuned):
        tastemaker("export", "embeddings", run, "--out", tmp_path / "x.parquet").fails(
            2, "Cooccurrence has no item vectors; use a neural model such as sasrec"
        )
        tastemaker("export", "embeddings", run, "--users", "--out", tmp_path / "x.parquet").fails(
            2, "Cooccurrence has no user vectors; use a model of users such as bpr-mf"
        )
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replaced_unasked(factors: Path, tmp_path: Path) -> None:
    out = tmp_path / "items.parquet"
    out.write_text("mine")
    command = ("export", "embeddings", factors, "--out", out)
    tastemaker(*command).fails(2, "is there already")
    assert out.read_text() == "mine"
    tastemaker(*command, "--overwrite").ok()
    assert pl.read_parquet(out).height
    tastemaker("export", "embeddings", factors, "--out", tmp_path / "items.csv").fails(2, "ends in .parquet")
