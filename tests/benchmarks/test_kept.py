"""What all claims share: the command told, the rows asked for, the commits at which a table's rows were measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks import chatrec, claims, kept, palr, preference
from benchmarks.chatrec_results import write
from tastemaker import artifacts, evaluate
from tastemaker.evaluate import System
from tastemaker.evaluate.result import Row
from tastemaker.testing.methods import chains
from tastemaker.types import Query

PLAIN = "python -m benchmarks.claims films"


def line(*typed: str) -> kept.Asked:
    return kept.asked("claims", "", ["films"], typed, again="once more")


@pytest.mark.parametrize(
    ("typed", "flags"),
    [
        (["films"], ""),
        (["films", "--write"], ""),
        (["films", "--only", "sasrec", "mf-0"], " --only sasrec mf-0"),
        (["--only", "sasrec", "--again", "--seeds", "0", "2", "--write"], " --only sasrec --seeds 0 2 --again"),
        (["films", "--only"], " --only"),
        (["films", "--only", "a b"], " --only 'a b'"),
    ],
)
def test_the_command_is_what_was_typed_if_it_chose_what_is_there(typed: list[str], flags: str) -> None:
    assert line(*typed).command("films") == PLAIN + flags
    assert line(*typed).command("films", whole=True) == PLAIN


@pytest.mark.parametrize(("module", "program"), [(claims, "claims"), (palr, "palr"), (preference, "preference")])
def test_every_command_names_its_own_module(module: object, program: str) -> None:
    asked = module.line(["--only", "x"])  # type: ignore[attr-defined]
    assert asked.command("y") == f"python -m benchmarks.{program} y --only x"
    assert asked.claims == sorted(module.CLAIMS)  # type: ignore[attr-defined]


def test_rows_are_asked_for_by_how_their_names_begin() -> None:
    assert line().wants("sasrec-0")
    assert line("--only", "gru", "sas").wants("sasrec-0")
    assert not line("--only", "asrec").wants("sasrec-0")
    assert not line("--only").wants("sasrec-0")


@pytest.mark.parametrize(
    ("name", "said"), [("SASRec (bce)", "sasrec-bce"), ("LLaRA (default, not fused)", "llara-default-not-fused")]
)
def test_a_name_is_told_in_letters_and_dashes(name: str, said: str) -> None:
    assert kept.slug(name) == said


def test_a_key_is_of_the_facts_and_not_of_their_order() -> None:
    assert kept.key({"a": 1, "b": [2]}) == kept.key({"b": [2], "a": 1}) == "ae8a9a505246"
    assert kept.key({"a": 1, "b": [3]}) != kept.key({"a": 1, "b": [2]})


def test_a_kept_row_has_the_commit_at_which_the_command_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "commit", lambda: "before")
    asked = line()
    monkeypatch.setattr(kept, "commit", lambda: "after")
    kept.save(tmp_path / "row", asked, {"scores": np.arange(3.0)}, seconds=2.0)
    assert kept.took(tmp_path / "row") == {"seconds": 2.0, "commit": "before"}
    assert kept.measured_at(tmp_path / "row") == "before"
    assert kept.arrays(tmp_path / "row")["scores"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("commits", "remarks"),
    [
        (["own", "own", "own"], []),
        (["old", "old", "old"], ["Measured at commit old: all rows."]),
        (["", "", ""], ["Measured at a commit that was not recorded: all rows."]),
        (
            ["own", "old", ""],
            [
                "Measured at commit own: popularity.",
                "Measured at commit old: EASE (l2, 1).",
                "Measured at a commit that was not recorded: none.",
            ],
        ),
        (["own", "own", "old"], ["Measured at commit own: popularity; EASE (l2, 1).", "Measured at commit old: none."]),
    ],
)
def test_a_table_tells_who_was_measured_at_another_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commits: list[str], remarks: list[str]
) -> None:
    rows = []
    for name, commit in zip(["popularity", "EASE (l2, 1)", "none"], commits, strict=True):
        told = {"seconds": 1.0} | ({"commit": commit} if commit else {})
        artifacts.save(tmp_path / name[:4].lower(), kind="claim-row", json={"row": told})
        rows.append((name, tmp_path / name[:4].lower()))
    monkeypatch.setattr(kept, "commit", lambda: "own")
    split = chains()

    def score(queries: Sequence[Query]) -> list[np.ndarray]:
        return [np.zeros(split.dataset.n_items, np.float32) for _ in queries]

    judged = evaluate.evaluate(split, [System("popularity", "trivial", score)], "palr")
    before = evaluate.result_of(judged, "films").remarks
    asked = line("films", "--only", "pop")
    to = kept.write(judged, tmp_path / "films.json", asked, "films", rows, whole=False, missing=("x",))
    result = evaluate.read_result(to)
    assert list(result.remarks) == [*before, *remarks]
    assert (result.name, result.commit, result.command) == ("films", "own", f"{PLAIN} --only pop")
    assert result.missing == ("x",)
    assert kept.measured_at(to) == "own"


class Bench:
    """Two rows, of which what was measured is remembered."""

    def __init__(self) -> None:
        rows = tuple(claims.Row(name, "trivial", seed=seed) for name in ("one", "two") for seed in (0, 1))
        self.claim = claims.Claim(chains, {}, "one", rows)
        self.measured: list[str] = []

    def measure(self, row: claims.Row) -> None:
        self.measured.append(row.id)

    def there(self, row: claims.Row) -> bool:
        return row.id in self.measured

    def write(self) -> list[Path]:
        return [Path("written")] if self.measured else []


@pytest.mark.parametrize(
    ("typed", "measured", "printed"),
    [
        ([], ["one-0", "one-1", "two-0", "two-1"], "written\n"),
        (["--only", "two"], ["two-0", "two-1"], "written\n"),
        (["--only", "two", "--seeds", "1"], ["two-1"], "written\n"),
        (["--write"], [], "films: one is not measured yet; nothing is written\n"),
        (["--list"], [], "one-0 missing\none-1 missing\ntwo-0 missing\ntwo-1 missing\n"),
    ],
)
def test_only_what_is_asked_for_is_measured(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: list[str],
    measured: list[str],
    printed: str,
) -> None:
    pages: list[str] = []
    monkeypatch.setattr(evaluate, "write_pages", pages.append)
    bench = Bench()
    kept.run(line(*typed), lambda name: bench)
    assert bench.measured == measured
    assert capsys.readouterr().out == printed
    assert pages == ([] if "--list" in typed else ["."])


def test_a_file_without_kept_rows_tells_its_flags_and_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kept, "commit", lambda: "here")
    asked = kept.parser("chatrec", "", chatrec.CLAIMS).parse_args(["a", "--only", "b", "--write"], kept.Asked())
    row = Row(system="x", kind="llm", metrics={"share": 1.0})
    found = json.loads(
        write("a-2", "p", chains().dataset, claim="a", asked=asked, n=1, rows=(row,), seconds=1.0).read_bytes()
    )
    assert (found["command"], found["commit"]) == ("python -m benchmarks.chatrec a --only b", "here")
