"""The documentation says what the code does: its commands parse, its Python runs, its pages and tables are there."""

from __future__ import annotations

import inspect
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from live import Live, living
from pages import DOCS, ROOT, Block, blocks, command_of, links, pages, toctrees
from served import Served
from shell import tastemaker
from small_movielens import small_movielens, tables
from talker import Talker

from tastemaker import Recommender, collab, llm, load_dataset, methods
from tastemaker.cli import _judging
from tastemaker.cli._configured import configured
from tastemaker.cli._named import named, settings_of
from tastemaker.config import build, parse_overrides
from tastemaker.data import readers, splits
from tastemaker.data.readers.split_files import SplitFilesOptions
from tastemaker.data.readers.table import TableOptions
from tastemaker.errors import TastemakerError
from tastemaker.llm import zoo
from tastemaker.llm.local import LocalLM
from tastemaker.llm.sentences import SentenceEncoder
from tastemaker.recommend.recommender import SCHEMA
from tastemaker.serve.app import build_app
from tastemaker.serve.keys import Keys
from tastemaker.serve.recommendations import Recommendations
from tastemaker.serve.service import Service
from tastemaker.serve.settings import Settings
from tastemaker.serve.store import open_database
from tastemaker.testing.openai_server import serving
from tastemaker.testing.tiny_encoder import tiny_encoder
from tastemaker.testing.tiny_llm import tiny_lm

GUIDES = sorted((DOCS / "guides").glob("*.md"))
TOLD = [ROOT / "README.md", *(page for page in pages() if page.name != "log.md")]
"""What people follow; the log says what was done once."""
MOST_LINES = 150
OURS, THEIRS = "http://127.0.0.1:8000", "http://127.0.0.1:8001"
"""Where examples find a service of ours, and a language model that somebody serves."""
ENDLESS = {"serve", "demo", "bench", "doctor"}
"""Verbs that no example is run of, unless of data: they wait, measure, or fetch."""
ELSEWHERE = {"--from", "--url", "runs/demo"}
"""What an example wants that is not here: others' files, a server, what the demo made."""


def found(language: str, where: list[Path] = TOLD) -> list[Any]:
    """The blocks in that language, as parameters."""
    some = [block for page in where for block in blocks(page) if block.language == language]
    return [pytest.param(block, id=f"{block.page.stem}:{block.line}") for block in some]


def test_every_page_can_be_reached_from_the_first() -> None:
    reached, todo = set[Path](), [DOCS / "index.md"]
    while todo:
        page = todo.pop()
        assert page.is_file(), f"{page} is named in a table of contents and not there"
        if page not in reached:
            reached.add(page)
            todo += toctrees(page)
    assert {*pages()} - reached == set()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_guides_are_short(guide: Path) -> None:
    assert len(guide.read_text(encoding="utf-8").splitlines()) < MOST_LINES


@pytest.mark.parametrize("page", TOLD, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    assert [to for to in links(page) if not (page.parent / to).exists()] == []


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_tables_and_datasets_that_guides_name_exist(guide: Path) -> None:
    known = {path.stem for path in (ROOT / "results").glob("*.json")} | {*readers.names(), *splits.names()}
    known |= {name for names in named().values() for name in names}
    text = guide.read_text(encoding="utf-8")
    names = re.findall(r"`((?:llara|palr|tallrec|collm|binllm|chatrec|serve|bench)-[a-z0-9-]+)`", text)
    assert {*names} <= known


def test_code_is_found_where_there_is_some() -> None:
    assert len(found("bash")) >= 15
    assert len(found("python")) >= 15
    assert len(GUIDES) >= 9


@pytest.mark.parametrize("block", found("bash"))
def test_commands_are_understood(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "require_known", lambda name: None)
    for words in block.commands:
        if words[0] == "tastemaker" and words[1:] != ["--help"]:
            require_settings(*command_of(words))


def test_wrong_commands_would_be_seen() -> None:
    for words in ("train llara", "train llara --out x --modle y", "trian llara --out x", "data split ml-100k --out x"):
        with pytest.raises(Exception, match=r"Missing|No such"):
            command_of(["tastemaker", *words.split()])
    for words in (
        "train llara --out x -o epoch=1",
        "train lara --out x",
        "train collm --out x -o collab.sizes=3",
        "train llara --collab ease --out x",
        "evaluate sasrek --protocol llara",
        "evaluate sasrec --protocol lara",
        "evaluate sasrec -o sasrec.epoch=2",
        "evaluate sasrec -o drawn=2",
        "config llara -o mode=faith",
        "data import a.csv --out x -o colums.user_id=u",
        "doctor --data a.csv -o colums.user_id=u",
        "data describe a.csv --split time-quantile",
        "data describe a.csv -o data.colums.user_id=u",
        "evaluate mf -o data.min_ratings=4",
        "data split a.csv --split time --out x -o months=2",
        "serve runs/x -o rates=3",
    ):
        with pytest.raises(TastemakerError):
            require_settings(*command_of(["tastemaker", *words.split()]))


def require_settings(verb: str, given: dict[str, Any]) -> None:
    """Nothing, if every name and setting of the command exists; else a `TastemakerError`."""
    settings = given.get("settings") or ()
    over = parse_overrides(settings)
    if verb in ("evaluate", "data describe", "data split"):
        build(SplitFilesOptions, over.pop("data", {}))
    if verb in ("train", "demo") and given.get("config") is None:
        asked = {"train": given.get("name") or given.get("method"), "data": given["data"], "split": given.get("split")}
        configured(None, {**asked, "llm": given["llm"], "collab": given["collab"]}, settings).resolved()
    elif verb == "evaluate":
        models = [one for one in given["targets"] if "/" not in one]
        for one in models:
            _judging.target(one)
        for one in {*models, *_judging.BASELINES, *_judging.RATES} & over.keys():
            settings_of(one, over.pop(one))
        splits.get(given["split"] or "leave-one-out").of(**over.pop("split", {}))
        _judging.protocol_of(given["protocol"], over)
    elif verb == "config" and given["name"] is not None:
        settings_of(given["name"], over)
    elif verb == "doctor":
        build(TableOptions, over)
    elif verb == "data import":
        known = {*inspect.signature(readers.get("recbole").read).parameters} if given["path"].suffix == ".inter" else {}
        build(TableOptions, {name: value for name, value in over.items() if name not in known})
    elif verb in ("data describe", "data split") and given["split_name"]:
        splits.get(given["split_name"]).of(**over)
    elif verb == "serve":
        build(Settings, over)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, small data under the names of the real ones, and models made on the spot."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TASTEMAKER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TASTEMAKER_DATA", str(tmp_path / "real"))
    monkeypatch.setattr(LocalLM, "load", lambda *_, **__: tiny_lm())
    monkeypatch.setattr(SentenceEncoder, "load", lambda *_, **__: tiny_encoder())
    monkeypatch.setattr(llm, "load", lambda *_, **__: tiny_lm())
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    small_movielens(tmp_path / "real" / "ml-100k")
    tables(tmp_path)
    return tmp_path


@pytest.fixture
def live(world: Path) -> Iterator[Live]:
    """A service over the small films."""
    split: Any = load_dataset("ml-100k").split("leave-one-out")
    recommender = Recommender(collab.models.get("cooccurrence")().fit(split), None, split)
    talker, database = Talker(recommender.data), open_database(world / "state.sqlite3")
    service = Service.build(Recommendations(recommender), talker, database, Settings())
    with living(Served(service, talker, build_app(service, Keys()))) as found:
        yield found
    service.close()


@pytest.mark.slow
@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "quickstart.md", *GUIDES], ids=lambda page: page.stem)
def test_examples_run(page: Path, live: Live) -> None:
    names: dict[str, Any] = {}
    with serving() as server:
        for block in sorted(blocks(page), key=lambda block: block.line):
            if block.language == "python":
                code = block.text.replace(OURS, live.url).replace(f"{THEIRS}/v1", server.url)
                exec(compile(code, f"{page.name}:{block.line}", "exec"), names)  # noqa: S102 - our own examples
            for words in block.commands:
                run(words, live)


def run(words: list[str], live: Live) -> None:
    """A command of an example, unless it would wait, measure, fetch, or want files that only others have."""
    if words[0] == "curl":
        answer = ask(words[1:], live)
        assert answer.status_code < 400, answer.text
    elif words[0] == "tastemaker" and (words[1] not in ENDLESS or "--data" in words) and not ELSEWHERE & {*words}:
        tastemaker(*words[1:]).ok()


def ask(words: list[str], live: Live) -> Any:
    """What curl would be answered."""
    method, headers, body, url = "GET", {}, None, ""
    rest = iter(words)
    for word in rest:
        if word in ("-d", "--json"):
            method, body = "POST", json.loads(next(rest))
        elif word == "-X":
            method = next(rest)
        elif word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif not word.startswith("-"):
            url = word.replace(OURS, live.url)
    assert method == "GET" or headers.get("Content-Type", "application/json") == "application/json"
    return httpx2.request(method, url, headers=headers, json=body)


def test_the_quickstart_names_every_column_of_a_recommendation() -> None:
    text = (DOCS / "quickstart.md").read_text(encoding="utf-8")
    told = text.partition("`recommend` gives a frame of")[2].partition(".")[0]
    assert re.findall(r"`(\w+)`", told) == [*SCHEMA]


def test_methods_have_a_guide() -> None:
    text = "\n".join(guide.read_text(encoding="utf-8") for guide in GUIDES)
    assert [name for name in methods.registry.names() if f"train {name}" not in text] == []
