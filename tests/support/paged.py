"""The page in a real browser: a served cinema and library, and a headless Chromium to look at them."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cinema
import pytest
from live import Live, living
from served import KEYS, Served

from tastemaker.serve.app import build_app
from tastemaker.serve.chat.dialogue import Card, Dialogue, Event, Token
from tastemaker.serve.chat.engine import Engine
from tastemaker.serve.chat.shelf import Shelf
from tastemaker.serve.keys import Keys
from tastemaker.serve.recommendations import Recommendations
from tastemaker.serve.service import Service
from tastemaker.serve.settings import Settings
from tastemaker.serve.store import open_database

DESKTOP = {"viewport": {"width": 1280, "height": 860}, "reduced_motion": "reduce"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Held:
    """An engine whose replies wait, after their first words, while ``gate`` is not set; ``fails`` is raised there."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.gate = engine, threading.Event()
        self.gate.set()
        self.fails: Exception | None = None
        self.degrades = False

    @property
    def main(self) -> Shelf:
        return self.engine.main

    @property
    def shelves(self) -> dict[str, Shelf]:
        return self.engine.shelves

    def reply(self, dialogue: Dialogue, text: str, *, cancelled: Any) -> Iterator[Event]:
        for event in self.engine.reply(dialogue, text, cancelled=cancelled):
            yield event.model_copy(update={"degraded": True}) if self.degrades and event.type == "done" else event
            while isinstance(event, Token) and not self.gate.wait(0.01):
                if cancelled():
                    return
            if self.fails is not None:
                raise self.fails

    def cards(self, ids: Sequence[str]) -> list[Card]:
        return self.engine.cards(ids)

    def search(self, text: str, n: int) -> list[Card]:
        return self.engine.search(text, n)

    def add_items(self, rows: list[dict[str, Any]]) -> None:
        self.engine.add_items(rows)

    def stand_in(self, item_id: str) -> str | None:
        return self.engine.stand_in(item_id)

    def newcomers(self, history: Sequence[str], n: int) -> list[tuple[Card, int]]:
        return self.engine.newcomers(history, n)


@contextlib.contextmanager
def paged(folder: Path, *, keyed: bool = False) -> Iterator[tuple[Live, Held]]:
    """The cinema and the library served on a real socket, its state in ``folder``."""
    held = Held(cinema.engine(folder))
    recommendations = Recommendations(cinema.recommender("cinema"))
    limits = Settings(rate=1e6, burst=1e6, replies=4)
    service = Service.build(recommendations, held, open_database(folder / "state.sqlite3"), limits)
    (folder / "keys").write_text("".join(f"{name} {key}\n" for name, key in KEYS.items()))
    keys = Keys.read(folder / "keys", {}) if keyed else Keys()
    served = Served(service, held, build_app(service, keys), KEYS if keyed else {})  # type: ignore[arg-type]
    with living(served) as live:
        yield live, held
    service.close()


@dataclass
class Seen:
    """What a page did besides showing itself."""

    dialogs: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium; the test is skipped, and says what to install, where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'tastemaker[dev]'")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium is installed; on Debian: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield chromium
        finally:
            chromium.close()


def watched(context: Any, url: str) -> tuple[Any, Seen]:
    """A new page at ``url``, and what is noticed about it."""
    page, seen = context.new_page(), Seen()
    page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: request.url.startswith(url) or seen.foreign.append(request.url))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda line: seen.errors.append(line.text) if _wrong(line) else None)
    page.goto(url)
    return page, seen


def _wrong(line: Any) -> bool:
    return line.type == "error" and "Failed to load resource" not in line.text


class Screen:
    """A page as a person has it."""

    def __init__(self, chromium: Any, live: Live, address: str = "", **options: Any) -> None:
        self.live, self.context = live, chromium.new_context(**{**DESKTOP, **options})
        self.context.set_default_timeout(15_000)
        self.page, self.seen = watched(self.context, live.url)
        if address:
            self.page.goto(live.url + address)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)

    def say(self, text: str) -> str:
        """The words of the reply, once it is whole."""
        with self.answered():
            self.page.fill("#say", text)
            self.page.keyboard.press("Enter")
        return self.words

    def answered(self) -> _Answered:
        """Waits, at its end, for one more reply."""
        return _Answered(self.page)

    @property
    def words(self) -> str:
        return str(self.page.inner_text(".reply:last-child > .words"))

    @property
    def cards(self) -> list[str]:
        """Ids of the latest list."""
        return [one.get_attribute("data-item") for one in self.page.query_selector_all(".reply:last-child .card")]

    @property
    def years(self) -> list[int]:
        return [int(text) for text in self.page.locator(".reply:last-child .card .year").all_inner_texts()]

    @property
    def chips(self) -> list[str]:
        return list(self.page.locator("#filters .words").all_inner_texts())

    def is_tame(self) -> None:
        """Nothing that a hostile word would have done was done."""
        assert self.seen == Seen()

    def has_no_sideways_scroll(self) -> None:
        wide = "[document.documentElement, document.querySelector('#scroll')].map(e => e.scrollWidth - e.clientWidth)"
        assert self.page.evaluate(wide) == [0, 0]
        assert self.page.evaluate("innerWidth") == self.page.viewport_size["width"]


class _Answered:
    def __init__(self, page: Any) -> None:
        self._whole = page.locator(".reply[aria-busy=false]")

    def __enter__(self) -> None:
        self._before = self._whole.count()

    def __exit__(self, *_: object) -> None:
        self._whole.nth(self._before).wait_for()
