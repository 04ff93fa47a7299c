"""Train, valid and test that somebody brings, from the command line: by --data or --from, as any other data."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from films import N_USERS, films_split
from shell import tastemaker

from tastemaker.data import load_dataset, load_split
from tastemaker.testing.methods import write_lm
from tastemaker.testing.preferences import opinions

NEXT = ("--split", "leave-one-out", "-o", "k_core=0")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The films as somebody else would split them: each user's last two rows held out, under names of their own."""
    folder = tmp_path_factory.mktemp("own") / "mine"
    folder.mkdir()
    split = films_split()
    users, items = split.dataset.users["user_id"], split.dataset.items["item_id"]
    train = [(users[u], items[i], t) for u, i, t in split.train.select("user", "item", "time").iter_rows()]
    parts = {"train": train}
    for part, cases in (("valid", split.valid), ("test", split.test)):
        parts[part] = [(users[c.query.user or 0], items[c.positive], int(c.query.time or 0)) for c in cases]
    for part, rows in parts.items():
        text = "".join(f"{user},{item},{time}\n" for user, item, time in rows)
        (folder / f"{part}.csv").write_text(f"userId,movieId,when\n{text}")
    split.dataset.items.select("item_id", "title").write_csv(folder / "items.csv")
    return folder


TIMED = ("-o", "data.columns.time=when")


def test_what_split_wrote_can_be_trained_and_judged_on(data: Path, counted: Path, tmp_path: Path) -> None:
    out, run = tmp_path / "loo", tmp_path / "run"
    told = tastemaker("data", "split", data, *NEXT, "--out", out, "--json").json
    seen = tastemaker("data", "describe", out, "--json").json["split"]
    assert (seen["name"], seen["hash"]) == ("leave-one-out", told["hash"])
    tastemaker("train", "cooccurrence", "--data", out, "--out", run).ok()
    found = yaml.safe_load((run / "config.yaml").read_text())["data"]
    assert (found["split"], found["hash"]) == (None, told["hash"])
    same = tastemaker("evaluate", run, counted, "--json").json  # counted was trained on the rule itself
    rows = {row["system"]: row["metrics"] for row in same["rows"]}
    assert rows["run"] == rows["counted"]
    assert load_dataset(out).n_users == N_USERS


def test_tables_can_be_trained_and_judged_on(own: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    tastemaker("train", "cooccurrence", "--data", own, *TIMED, "--out", run).ok()
    assert yaml.safe_load((run / "config.yaml").read_text())["data"]["options"] == {"columns": {"time": "when"}}
    by_run = tastemaker("evaluate", run, "--json").json
    fitted = tastemaker("evaluate", "cooccurrence", "--data", own, *TIMED, "--json").json
    named = tastemaker("evaluate", "cooccurrence", "--data", "split-files", "--from", own, *TIMED, "--json").json
    assert by_run["data_hash"] == fitted["data_hash"] == named["data_hash"]
    assert by_run["n"] == N_USERS
    listed = tastemaker("recommend", run / "model", "--user", "u0", "-n", "2").ok().out
    assert "Film" in listed


def test_a_method_is_tuned_on_tables(own: Path, tmp_path: Path) -> None:
    asked = ("train", "next-film", "--data", own, *TIMED, "--collab", "cooccurrence", "--out", tmp_path / "run")
    assert "test cases show no history" not in tastemaker(*asked).ok().err
    tastemaker("evaluate", tmp_path / "run", "--llm-draws", 1).ok()


def test_describe_tells_how_columns_were_read_and_what_was_asked(own: Path) -> None:
    done = tastemaker("data", "describe", own, *TIMED).ok()
    assert "Read userId as user_id, movieId as item_id." in done.out
    assert f"test_cases: {N_USERS}" in done.out
    rule = tastemaker("data", "describe", own, *TIMED, *NEXT, "--json").json
    assert rule["split"]["name"] == "leave-one-out"  # the rule, of all rows
    tastemaker("data", "split", own, *TIMED, *NEXT, "--out", own.parent / "again").ok()
    assert load_split(own.parent / "again").hash == rule["split"]["hash"]
    tastemaker("data", "describe", own, "-o", "data=3").fails(2, "name a setting of it")


def test_leaks_and_strangers_are_told_before_training_and_beside_the_result(own: Path, tmp_path: Path) -> None:
    leaky = tmp_path / "leaky"
    leaky.mkdir()
    for file in own.iterdir():
        (leaky / file.name).write_bytes(file.read_bytes())
    first = (own / "train.csv").read_text().splitlines()[1]
    with (leaky / "test.csv").open("a") as test:
        test.write(f"{first}\nnewcomer,f1,1\nu0,unheard,{10**6}\n")
    told = (
        f"The answers of 1 of {N_USERS + 3} test cases are in the train rows of their user.",
        f"1 of {N_USERS + 3} test cases show no history.",
        f"of {N_USERS + 3} test cases never occur in train",
    )
    done = tastemaker("train", "cooccurrence", "--data", leaky, *TIMED, "--out", tmp_path / "run").ok()
    result = tastemaker("evaluate", tmp_path / "run", "ease", "sasrec", "-o", "sasrec.epochs=1", "--json").json
    for sentence in told:
        assert sentence in done.err
        assert any(sentence in remark for remark in result["remarks"])
    again = tastemaker("train", "cooccurrence", "--data", leaky, *TIMED, "--out", tmp_path / "run").ok()
    assert "warning" not in again.err


def test_questions_of_what_is_liked(tmp_path: Path) -> None:
    split = opinions()
    users, items = split.dataset.users["user_id"], split.dataset.items["item_id"]
    mine = tmp_path / "mine"
    mine.mkdir()
    for part in ("train", "valid", "test"):
        rows = [
            f"{users[row.query.user or 0]},{items[row.item]},{5 if row.liked else 1},{row.query.time:.0f}"
            for row in getattr(split, part)
        ]
        (mine / f"{part}.csv").write_text("\n".join(["user,item,stars,ts", *rows]) + "\n")
    asked = ("evaluate", "mf", "--data", mine, "--protocol", "collm", "-o", "mf.epochs=1")
    told = tastemaker(*asked, "-o", "data.min_rating=4", "--json").json
    assert {row["system"] for row in told["rows"]} == {"item-rate", "user-item-rate", "mf"}
    tastemaker(*asked).fails(2, "the data asks what is next")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "ease", "--data", "OWN", "--out", "x", "-o", "split.k_core=3"], "is split already"),
        (["train", "ease", "--data", "OWN", "--out", "x", "-o", "data.colums.time=when"], "did you mean 'columns'"),
        (["evaluate", "ease", "--data", "OWN", "-o", "data=when"], "name a setting of it"),
        (["train", "ease", "--data", "HALF", "--out", "x"], "holds no valid"),
        (["evaluate", "ease", "--data", "HALF"], "holds no valid"),
        (["data", "describe", "HALF"], "holds no valid"),
        (["train", "tallrec", "--data", "OWN", "--out", "x", "--llm", "LM"], "-o data.min_rating=4"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], told: str, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    half = tmp_path / "half"
    half.mkdir()
    for part in ("train", "test"):
        (half / f"{part}.csv").write_bytes((own / f"{part}.csv").read_bytes())
    places = {"OWN": str(own), "HALF": str(half), "LM": str(write_lm(tmp_path / "lm")) if "LM" in arguments else ""}
    tastemaker(*(places.get(word, word) for word in arguments)).fails(2, told)
    assert not Path("x").exists()


def test_an_import_says_that_it_leaves_the_split_behind(own: Path, tmp_path: Path) -> None:
    done = tastemaker("data", "import", own, "--out", tmp_path / "kept", "-o", "columns.time=when")
    assert "comes split, and only its interactions are kept" in done.ok().err
    assert load_dataset(tmp_path / "kept").n_users == N_USERS
