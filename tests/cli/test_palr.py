"""PALR by the command line on a poor table: no attributes, titles blank, twice and endless, fewer items than asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shell import tastemaker

from tastemaker.llm.local import LocalLM
from tastemaker.testing.methods import write_lm

TITLES = ("", "Heat", "Heat", "Heat 2", "\u200b", "word " * 300, "Heat (1995)", "é\u0301", "Alien", "alien")
IDS = [f"i{i}" for i in range(len(TITLES))]
UNSEEN = {"i5", "i6", "i7", "i8", "i9"}
"""By u0; the user "all" has seen everything."""
QUICK = {"timeline": "epochs=1"}


@pytest.fixture(
    scope="module",
    params=["timeline", "trie", *(pytest.param(d, marks=pytest.mark.slow) for d in ("score", "letters", "free"))],
)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("poor")
    histories = {f"u{u}": [IDS[(u + k) % 10] for k in range(5)] for u in range(10)} | {"all": IDS}
    rows = [f"{user},{item},{time}" for user, items in histories.items() for time, item in enumerate(items)]
    (folder / "interactions.csv").write_text("\n".join(["user_id,item_id,time", *rows]))
    named = [f"{item},{title}" for item, title in zip(IDS, TITLES, strict=True)]
    (folder / "items.csv").write_text("\n".join(["item_id,title", *named]), encoding="utf-8")
    settings = (
        f"decode={request.param}",
        QUICK.get(request.param, "max_steps=1"),
        "split.k_core=0",
        "collab.epochs=1",
        "collab.embedding_size=8",
    )
    lm = write_lm(tmp_path_factory.mktemp("lm") / "tiny")
    command = ("train", "palr", "--data", folder, "--llm", lm, "--collab", "sasrec", "--out", folder / "run")
    tastemaker(*command, *(part for one in settings for part in ("-o", one))).ok()
    return folder / "run"


@pytest.fixture
def nothing(tmp_path: Path) -> Path:
    (tmp_path / "nothing.txt").write_text("")
    return tmp_path / "nothing.txt"


def test_lists_are_full_or_say_why_not(run: Path, nothing: Path) -> None:
    done = tastemaker("recommend", run, "--user", "u0", "-n", 99, "--json")
    found = [row["item_id"] for row in done.json["recommendations"]]
    assert len(found) == len(UNSEEN)
    assert set(found) == UNSEEN
    assert "there were not 99 items to recommend; a list has 5" in done.err
    assert len(tastemaker("recommend", run, "--history", nothing, "-n", 3, "--json").json["recommendations"]) == 3


def test_a_list_that_is_empty_is_told_beside_one_that_is_full(run: Path) -> None:
    done = tastemaker("recommend", run, "--user", "u0", "--user", "all", "-n", 5, "--json")
    assert {row["user_id"] for row in done.json["recommendations"]} == {"u0"}
    assert "there were not 5 items to recommend; a list has 0" in done.err


def test_an_item_is_explained_to_who_knows_all_or_nothing(run: Path, nothing: Path) -> None:
    assert tastemaker("explain", run, "--user", "all", "--item", "i0", "--json").json["rivals"] == 0
    assert tastemaker("explain", run, "--history", nothing, "--item", "i5").ok().out.startswith("There is no history")


def test_nobody_knows_who_is_unknown(run: Path) -> None:
    for command in (["recommend"], ["profile"], ["profile", "--written"], ["explain", "--item", "i1"]):
        tastemaker(*command, run, "--user", "nobody").fails(2, "no user with id 'nobody'")


def test_a_profile_of_nothing_says_so(run: Path, nothing: Path) -> None:
    for how in ((), ("--written",)):
        done = tastemaker("profile", run, "--history", nothing, *how).ok()
        assert (done.out, done.err) == ("", "note: there is no history to tell anything from\n")


def test_what_is_written_is_kept_as_far_as_it_holds(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Titles nobody saw, broken JSON and no end; one word of it is true."""
    lies = 'Alien: "Alien"; love: "Never Made"; {"x": [NaN; heat: "Heat 2", "Alien"; ' + 'more: "more", ' * 10_000
    monkeypatch.setattr(LocalLM, "generate", lambda self, prompts, **options: [lies] * len(prompts))
    before = tastemaker("recommend", run, "--user", "u1", "--json").json
    told = tastemaker("profile", run, "--user", "u1", "--written", "--json").json
    assert [(one["word"], one["evidence"]) for one in told["keywords"]] == [("heat", ["i3"])]

    def fails(self: LocalLM, *given: Any, **options: Any) -> Any:
        pytest.fail("asked twice")

    monkeypatch.setattr(LocalLM, "generate", fails)
    assert tastemaker("profile", run, "--user", "u1", "--written", "--json").json == told
    monkeypatch.undo()
    assert tastemaker("recommend", run, "--user", "u1", "--json").json == before
