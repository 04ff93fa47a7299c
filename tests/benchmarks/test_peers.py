"""The files that peers and we exchange, with a peer made up for the purpose: it knows that films go in circles."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from films import N_FILMS, films_split

from benchmarks import peers
from benchmarks.peers import __main__ as command
from benchmarks.peers import exchange
from benchmarks.peers.environment import HERE, run

PEER = f"""
from peer import Clock, Job

job = Job()
assert len(job.rows("train.csv")) == 12 * 6
for epoch in range(1, job["epochs"] + 1):
    with Clock() as clock:
        pass
    assert clock.seconds > 0
    if job.due(epoch):
        first = max(0, 6 - 2 * epoch)
        lists = [[(h[-1] + 1 + (k - first) % 10) % {N_FILMS} for k in range(10)] for h in job.histories().values()]
        job.recommend(epoch, 2.5 * epoch, job.histories(), lists)
facts = {{"curve": job.curve, "epoch_seconds": [2.5] * job["epochs"], "setup_seconds": 0.5, "estimated": False}}
job.answer(("numpy",), loss=job["dropout"], **facts)
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes a peer of a program's text."""
    monkeypatch.setenv("PYTHONPATH", str(HERE / "programs"))

    def made(text: str):
        (tmp_path / "run_fake.py").write_text(text)
        return lambda name: (Path(sys.executable), tmp_path / f"run_{name}.py")

    return made


def test_a_peer_is_timed_by_itself_and_judged_by_us(programs) -> None:
    split, settings = films_split(), peers.Settings(epochs=4, every=2, dropout=0.4)
    facts = peers.measured("fake", lambda: peers.ranked("fake", split, settings, programs(PEER)))
    assert json.loads(json.dumps(facts)) == facts
    assert facts["curve"] == [
        {"epoch": 2, "seconds": 5.0, "ndcg@10": 0.5},  # each positive is third
        {"epoch": 4, "seconds": 10.0, "ndcg@10": 1.0},
    ]
    assert (facts["peer"], facts["data"], facts["split"]) == ("fake", "films", split.hash)
    assert facts["settings"] == settings.model_dump()
    assert facts["versions"] == {"numpy": np.__version__}
    assert (facts["seconds_per_epoch"], facts["loss"], facts["error"]) == (2.5, 0.4, None)
    assert [peers.seconds_to(facts, target) for target in (0.3, 0.5, 0.9, 1.1)] == [5.0, 5.0, 10.0, None]


def test_a_peer_never_sees_what_it_is_asked_for(tmp_path: Path) -> None:
    split = films_split()
    exchange.write_split(tmp_path, split)
    rows = {}
    for name in ("train", "queries"):
        with (tmp_path / f"{name}.csv").open() as file:
            rows[name] = [tuple(map(int, row.values())) for row in csv.DictReader(file)]
        assert len(set(rows[name])) == len(rows[name])
        assert not {(user, item) for user, item, _ in rows[name]} & {(c.query.user, c.positive) for c in split.test}
    for case in split.test:
        assert [item for user, item, _ in rows["queries"] if user == case.query.user] == list(case.query.history)
        places = [place for user, _, place in rows["train"] if user == case.query.user]
        assert places == list(range(len(case.query.history) - 1))  # less the one that validates


@pytest.mark.parametrize(("at", "worth"), [(1, 1.0), (2, 1 / np.log2(3)), (10, 1 / np.log2(11)), (None, 0.0)])
def test_the_figure_is_the_textbook_one(at: int | None, worth: float) -> None:
    split = films_split()
    top = []
    for case in split.test:
        unseen = [i for i in range(N_FILMS) if i not in {*case.query.history, case.positive}][:10]
        top.append(unseen if at is None else [*unseen[: at - 1], case.positive, *unseen[at - 1 : 9]])
    assert exchange.ndcg(split, np.array(top, dtype=np.int32)) == pytest.approx(worth)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("(h[-1] + 1", "(h[-1] - 1", "unseen items among 10; 10 are wanted"),
        ("range(10)]", "range(9)]", "9 unseen items among 9; 10 are wanted"),
        ("range(10)]", "[0, *range(9)]]", "9 unseen items among 10; 10 are wanted"),
        ("job = Job()", "raise SystemExit('no such luck')", "ended with 1: no such luck"),
        ("job.answer", "(lambda *_, **__: 0)", "run_fake.py ended well but left no answer"),
        ("numpy", "no-such-package", "No package metadata was found for no-such-package"),
    ],
)
def test_what_goes_wrong_is_part_of_the_answer(programs, old: str, new: str, said: str) -> None:
    assert old in PEER
    of = programs(PEER.replace(old, new))
    facts = peers.measured("fake", lambda: peers.ranked("fake", films_split(), peers.Settings(epochs=1), of))
    assert facts.keys() == {"peer", "error"}
    assert said in facts["error"]


def test_a_peer_reads_texts_with_a_model(programs, tmp_path: Path) -> None:
    text = "from peer import Job\njob = Job()\njob.answer((), tokens=len(job['texts']), model_was=job['model'])"
    facts = peers.processed("fake", ["one", "two"], tmp_path / "a.gguf", programs=programs(text))
    assert (facts["tokens"], facts["model"], facts["threads"]) == (2, "a.gguf", 2)


def test_an_installer_s_own_words_come_through() -> None:
    text = "print('Looking'); print('ERROR: No matching distribution found for it'); raise SystemExit(3)"
    with pytest.raises(peers.PeerError, match="ended with 3: ERROR: No matching distribution found for it"):
        run([sys.executable, "-c", text])


def test_every_peer_has_a_program_and_pins_every_package() -> None:
    assert peers.NAMES == ("implicit", "llamacpp", "recbole", "rectools")
    for name in peers.NAMES:
        assert (HERE / "programs" / f"run_{name}.py").is_file()
        lines = (HERE / "requirements" / f"{name}.txt").read_text().splitlines()
        assert all("==" in line and "+" not in line for line in lines)


def test_the_command_prints_one_line_and_tells_failure_by_its_exit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(name: str, data: str, settings: peers.Settings) -> None:
        raise peers.PeerError(f"{name} on {data} for {settings.epochs}:\nno")

    monkeypatch.setattr(command, "_measure", refused)
    assert command.main(["rectools", "--data", "ml-1m", "--epochs", "3"]) == 1
    assert capsys.readouterr().out == '{"peer": "rectools", "error": "rectools on ml-1m for 3:\\nno"}\n'


def test_texts_are_of_two_lengths() -> None:
    texts = command.texts(users=4)
    assert len(texts) == 6
    assert texts[4] == f"{texts[0]} {texts[1]}"
