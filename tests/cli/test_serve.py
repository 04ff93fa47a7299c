"""tastemaker serve: wires a saved recommender to an address, and refuses what is not safe or not there."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from shell import tastemaker
from talker import Talker

from tastemaker.llm.remote import RemoteLM
from tastemaker.recommend import Recommender
from tastemaker.serve import opening


@pytest.fixture
def tuned(tuned: Path, tmp_path: Path) -> Path:
    """A run of this test's own: what is kept in it is not there for others."""
    return shutil.copytree(tuned, tmp_path / "run")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Instead of serving: what would be served, and where."""
    calls: list[tuple[Any, ...]] = []

    def run(app: Any, host: str, port: int, *, ready: Callable[[str], None]) -> None:
        ready(f"http://{host}:{port}")
        calls.append((app, host, port))

    monkeypatch.setattr("tastemaker.serve.run.run", run)
    monkeypatch.setattr(opening, "open_conversation", lambda recommender, *_, **__: Talker(recommender.data))
    return calls


def answer(app: Any, path: str, body: Any, **headers: str) -> Any:
    async def ask() -> Any:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client:
            return await client.post(path, json=body, headers=headers)

    return asyncio.run(ask())


def test_a_run_is_served_on_this_machine(tuned: Path, asked: list[tuple[Any, ...]]) -> None:
    done = tastemaker("serve", tuned, "--port", 1234, "-o", "replies=1").ok()
    assert done.out == "serving films at http://127.0.0.1:1234\n"
    ((app, host, port),) = asked
    assert (host, port, app.state.service.settings.replies) == ("127.0.0.1", 1234, 1)
    found = answer(app, "/v1/recommendations", {"user": "u0", "n": 1}).json()
    assert found["recommendations"][0]["item_id"] == "f8"
    assert (tuned / "serve" / "state.sqlite3").is_file()
    app.state.service.close()
    assert tastemaker("recommend", tuned, "--user", "u0").ok(), "the run is as good as before"


def test_state_of_a_bare_recommender_lies_beside_it(tuned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert opening.state_folder(tuned) == tuned / "serve"
    assert opening.state_folder(tuned / "model") == tuned / "model.serve"
    monkeypatch.chdir(tuned / "model" / "ranker")
    assert opening.state_folder("..") == tuned / "model.serve"
    monkeypatch.chdir(tuned / "model")
    assert opening.state_folder(".") == tuned / "model.serve"


def test_keys_come_from_a_file_or_the_environment(
    tuned: Path, asked: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tastemaker("serve", tuned, "--host", "0.0.0.0").fails(2, "can be reached by others")  # noqa: S104
    keys = tmp_path / "keys"
    keys.write_text("ann a-key-of-twenty-letters\n")
    tastemaker("serve", tuned, "--host", "0.0.0.0", "--key-file", keys, "--db", tmp_path / "x.db").ok()  # noqa: S104
    monkeypatch.setenv("TASTEMAKER_API_KEY", "another-key-of-twenty-letters")
    tastemaker("serve", tuned, "--host", "0.0.0.0", "--db", tmp_path / "x.db").ok()  # noqa: S104
    for (app, *_), key in zip(asked, ("a-key-of-twenty-letters", "another-key-of-twenty-letters"), strict=True):
        body = {"user": "u0"}
        assert answer(app, "/v1/recommendations", body).status_code == 401
        assert answer(app, "/v1/recommendations", body, authorization=f"Bearer {key}").status_code == 200
        app.state.service.close()


def test_the_page_is_opened_when_asked_for(
    tuned: Path, asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    tastemaker("serve", tuned).ok()
    assert opened == []
    tastemaker("serve", tuned, "--open").ok()
    assert opened == ["http://127.0.0.1:8000"]
    for app, *_ in asked:
        app.state.service.close()


def test_a_language_model_may_speak(tuned: Path, asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    given = dict[str, Any]()

    def opened(recommender: Recommender, *_: Any, **options: Any) -> Talker:
        given.update(options)
        return Talker(recommender.data)

    monkeypatch.setattr(opening, "open_conversation", opened)
    tastemaker("serve", tuned, "--llm", "scripted", "--url", "http://127.0.0.1:9/v1").ok()
    assert isinstance(given["lm"], RemoteLM)
    assert (given["lm"].name, given["settings"].lm_prose, given["settings"].lm_routes) == ("scripted", True, True)
    tastemaker("serve", tuned).ok()
    assert (given["lm"], given["settings"].lm_prose, given["settings"].lm_routes) == (None, False, False)
    for app, *_ in asked:
        app.state.service.close()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--url", "http://127.0.0.1:9/v1"], "--url needs the model's name there: --llm NAME"),
        (["--key-file", "nowhere"], "cannot be read"),
        (["-o", "replys=3"], "did you mean 'replies'"),
        (["-o", "deadline=0"], "deadline"),
        (["--db", "mysql://x/y"], "not supported"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_served(
    tuned: Path, asked: list[tuple[Any, ...]], more: list[str], told: str
) -> None:
    tastemaker("serve", tuned, *more).fails(2, told)
    assert asked == []


def test_a_directory_that_is_none_is_told(asked: list[tuple[Any, ...]], tmp_path: Path) -> None:
    tastemaker("serve", tmp_path).fails(2, "not saved by tastemaker")
