"""A batch gives the lists that `recommend` gives, and one that is stopped anywhere gives the same file in the end."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from films import N_FILMS, N_USERS, films, films_split
from listed import list_more_methods

from tastemaker import Recommender, collab, methods
from tastemaker.atomic import locked
from tastemaker.errors import ArtifactError, LanguageModelError, UsageError
from tastemaker.recommend import batch, tables
from tastemaker.recommend.batch import Batch
from tastemaker.recommend.blocks import beside

SPLIT = films_split()
USERS = [f"u{u}" for u in range(N_USERS)]
SOURCE = Path(__file__).parents[1] / "src"
FORMATS = ["parquet", "csv", "jsonl"]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved recommender."""
    path = tmp_path_factory.mktemp("saved") / "counted"
    Recommender(collab.Cooccurrence().fit(SPLIT), data=SPLIT).save_pretrained(path)
    return path


@pytest.fixture
def tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One with a language model, or what stands for it."""
    list_more_methods(monkeypatch)
    retriever = collab.Cooccurrence().fit(SPLIT)
    ranker = methods.registry.get("next-film")(llm="none", collab=retriever).tune(SPLIT)  # type: ignore[call-arg]
    Recommender(retriever, ranker, SPLIT, n_candidates=20).save_pretrained(tmp_path / "tuned")
    return tmp_path / "tuned"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many users each call asked for; blocks hold five."""
    monkeypatch.setattr(batch, "_USERS", 5)
    whole, seen = Recommender.recommend, list[int]()

    def counting(self: Recommender, users: Any = None, *args: Any, **options: Any) -> pl.DataFrame:
        seen.append(len(users))
        return whole(self, users, *args, **options)

    monkeypatch.setattr(Recommender, "recommend", counting)
    return seen


def stopped(wanted: Batch, out: Path, at: int, **options: Any) -> None:
    """The batch, interrupted in its call of that number."""
    whole, left = Recommender.recommend, [at]

    def stopping(self: Recommender, *args: Any, **options: Any) -> pl.DataFrame:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return whole(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recommender, "recommend", stopping)
        with pytest.raises(KeyboardInterrupt):
            wanted.write(out, **options)


def test_the_lists_are_those_of_recommend_block_by_block(counted: Path, tmp_path: Path, calls: list[int]) -> None:
    reports: list[tuple[float, float | None]] = []
    written = Batch(counted, n=4).write(
        tmp_path / "lists.parquet", progress=lambda task, done, total=None, note="": reports.append((done, total))
    )
    assert calls == [5, 5, 2], "never more than a block at once, which is what bounds the memory"
    assert reports == [(5, 12), (10, 12), (12, 12)]
    found = pl.read_parquet(tmp_path / "lists.parquet")
    assert found.columns == ["user_id", "rank", "item_id", "title", "score"]
    assert found.equals(Recommender.from_pretrained(counted).recommend(USERS, n=4).select(found.columns))
    assert (written.users, written.rows, written.resumed, written.short) == (12, 48, 0, 0)
    assert written.lists_per_second == 12 / written.seconds
    assert [file.name for file in tmp_path.iterdir()] == ["lists.parquet"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("stopped_at", [1, 2, 3])
def test_stopped_anywhere_it_goes_on_and_gives_the_same_file(
    suffix: str, stopped_at: int, counted: Path, tmp_path: Path, calls: list[int]
) -> None:
    wanted = Batch(counted)
    wanted.write(tmp_path / f"whole.{suffix}")
    calls.clear()
    out = tmp_path / f"lists.{suffix}"
    stopped(wanted, out, stopped_at)
    assert not out.exists()
    assert beside(out).is_dir() == (stopped_at > 1), "where nothing was made, nothing is left"
    assert len(calls) == stopped_at - 1
    written = wanted.write(out)
    assert len(calls) == 3, "no block is made twice"
    assert written.resumed == 5 * (stopped_at - 1)
    assert out.read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()
    assert not beside(out).exists()


def test_killed_as_it_works_it_goes_on(counted: Path, tmp_path: Path, calls: list[int]) -> None:
    out = tmp_path / "lists.csv"
    code = (
        "import os, signal, sys\nfrom tastemaker.recommend import Recommender, batch\n"
        "batch._USERS, whole, left = 5, Recommender.recommend, [3]\n"
        "def dying(self, *args, **options):\n    left[0] -= 1\n"
        "    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)\n    return whole(self, *args, **options)\n"
        "Recommender.recommend = dying\nbatch.Batch(sys.argv[1]).write(sys.argv[2])"
    )
    done = subprocess.run([sys.executable, "-c", code, counted, out], cwd=SOURCE, check=False)
    assert done.returncode == -signal.SIGKILL
    assert Batch(counted).write(out).resumed == 10
    assert calls == [2]
    Batch(counted).write(tmp_path / "whole.csv")
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_killed_as_the_file_is_joined_only_that_is_done_again(
    counted: Path, tmp_path: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(batch, "write_table", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Batch(counted).write(tmp_path / "lists.csv")
    written = Batch(counted).write(tmp_path / "lists.csv")
    assert (len(calls), written.resumed, written.lists_per_second) == (3, 12, None)


def test_blocks_of_another_question_are_never_taken(
    counted: Path, tuned: Path, tmp_path: Path, calls: list[int]
) -> None:
    out = tmp_path / "lists.csv"
    stopped(Batch(counted), out, 2)
    for other, told in (
        (Batch(counted, n=3), r"lists.csv.blocks holds blocks of another question \(n was 10, is now 3\)"),
        (Batch(counted, ["u1"]), "users: other ones"),
        (Batch(counted, candidates=["f1"]), "candidates: other ones"),
        (Batch(counted, filter_seen=False), "filter_seen was True, is now False"),
        (Batch(counted, reasons=True), "reasons was False"),
        (Batch(tuned), "recommender: other ones"),
    ):
        with pytest.raises(UsageError, match=told):
            other.write(out)
    assert Batch(counted, n=3).write(out, overwrite=True).resumed == 0
    assert pl.read_csv(out).height == 36
    stopped(Batch(counted), out, 2, overwrite=True)
    with pytest.raises(UsageError, match="there already"):
        Batch(counted).write(out)
    assert Batch(counted).write(out, overwrite=True).resumed == 5, "to replace the file is not to begin anew"


def test_the_files_of_others_are_left_alone(counted: Path, tmp_path: Path, calls: list[int]) -> None:
    out = tmp_path / "lists.csv"
    beside(out).mkdir()
    (beside(out) / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds thesis\.txt, which is no block"):
        Batch(counted).write(out, overwrite=True)
    assert [file.name for file in beside(out).iterdir()] == ["thesis.txt"]


def test_two_at_once_do_not_mix(counted: Path, tmp_path: Path, calls: list[int]) -> None:
    out = tmp_path / "lists.csv"
    beside(out).mkdir()
    (beside(out) / "lock").touch()
    with locked(beside(out) / "lock"), pytest.raises(UsageError, match="another process is making"):
        Batch(counted).write(out)
    assert calls == []
    Batch(counted).write(out)


def test_a_damaged_block_is_told(counted: Path, tmp_path: Path, calls: list[int]) -> None:
    out = tmp_path / "lists.csv"
    stopped(Batch(counted), out, 3)
    block = beside(out) / "00000001.parquet"
    block.write_bytes(block.read_bytes()[:-20])
    with pytest.raises(ArtifactError, match=r"lists\.csv\.blocks: a block is damaged"):
        Batch(counted).write(out)
    assert not out.exists()


def test_users_may_be_listed_and_count_once(counted: Path, tmp_path: Path) -> None:
    written = Batch(counted, ["u3", "u1", "u3"], n=2).write(tmp_path / "lists.csv")
    assert written.users == 2
    assert pl.read_csv(tmp_path / "lists.csv")["user_id"].to_list() == ["u3", "u3", "u1", "u1"]


def test_nobody_knows_them(counted: Path, tmp_path: Path) -> None:
    out = tmp_path / "lists.csv"
    with pytest.raises(UsageError, match="no user with id 'u99'"):
        Batch(counted, ["u1", "u99"]).write(out)
    with pytest.raises(UsageError, match="no item with id 'f99'"):
        Batch(counted, candidates=["f99"]).write(out)
    with pytest.raises(UsageError, match="knows nobody who is asked for; it knows 12 users"):
        Batch(counted, ["u99"], unknown="skip").write(out)
    with pytest.raises(UsageError, match="users are a list of ids"):
        Batch(counted, "u1").write(out)
    assert list(tmp_path.iterdir()) == []
    written = Batch(counted, ["u1", "u99"], candidates=["f20", "f99"], unknown="skip").write(out)
    assert (written.users, written.rows, written.short, written.skipped) == (1, 1, 1, ("u99", "f99"))


def test_somebody_without_a_history_gets_what_everybody_gets(tmp_path: Path) -> None:
    nobody = films().users.head(1).with_columns(user_id=pl.lit("new"))
    data = replace(films(), users=pl.concat([films().users, nobody]))
    recommender = Recommender(collab.Cooccurrence().fit(SPLIT), data=data)
    recommender.save_pretrained(tmp_path / "saved")
    written = Batch(tmp_path / "saved", n=3).write(tmp_path / "lists.parquet")
    assert (written.users, written.without_history) == (13, 1)
    last = pl.read_parquet(tmp_path / "lists.parquet")[-3:]
    assert last["user_id"].unique().to_list() == ["new"]
    assert last["item_id"].equals(recommender.recommend(histories=[[]], n=3)["item_id"])
    everything = Batch(tmp_path / "saved", n=N_FILMS).write(tmp_path / "everything.parquet")
    assert everything.short == 12, "all but the one who has seen nothing"


def test_a_full_disk_costs_no_block(counted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise pl.exceptions.ComputeError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setitem(tables.SINKS, ".parquet", full)
        with pytest.raises(ArtifactError, match=r"lists\.parquet: not written \(No space left on device"):
            Batch(counted).write(tmp_path / "lists.parquet")
    assert Batch(counted).write(tmp_path / "lists.parquet").resumed == 12


def test_a_recommender_without_users_has_nobody_to_ask_for(tmp_path: Path) -> None:
    Recommender(collab.Cooccurrence().fit(SPLIT), data=SPLIT).save_pretrained(tmp_path / "bare", histories=False)
    with pytest.raises(UsageError, match="knows 0 users"):
        Batch(tmp_path / "bare").write(tmp_path / "lists.csv")


def test_each_item_may_have_a_reason(tuned: Path, tmp_path: Path) -> None:
    Batch(tuned, ["u0", "u5"], n=2, reasons=True).write(tmp_path / "lists.jsonl")
    found = pl.read_ndjson(tmp_path / "lists.jsonl")
    assert found.columns[-1] == "reason"
    recommender = Recommender.from_pretrained(tuned)
    for row in found.iter_rows(named=True):
        assert row["reason"] == recommender.explain(row["item_id"], user=row["user_id"]).sentence


def test_blocks_are_smaller_where_lists_take_longer(
    tuned: Path, tmp_path: Path, calls: list[int], monkeypatch: Any
) -> None:
    monkeypatch.setattr(batch, "_USERS", 16 * 4)
    Batch(tuned).write(tmp_path / "lists.csv")
    assert calls == [4, 4, 4]


def test_where_the_language_model_fails_is_counted(tuned: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(batch, "_USERS", 16 * 4)
    kind, asked = methods.registry.get("next-film"), list[int]()
    whole: Any = kind.score

    def unsteady(self: Any, queries: Sequence[Any], **options: Any) -> Any:
        asked.append(len(queries))
        if len(asked) == 2:
            raise LanguageModelError("gone")
        scores = whole(self, queries, **options)
        return [row[:0] for row in scores] if len(asked) == 3 else scores

    monkeypatch.setattr(kind, "score", unsteady)
    written = Batch(tuned, n=2).write(tmp_path / "lists.parquet")
    assert (written.degraded, written.filled) == (4, 8)
    assert pl.read_parquet(tmp_path / "lists.parquet")["score"].is_null().to_list() == [False] * 16 + [True] * 8
