"""The page in a real Chromium: the whole story, by pointer, keyboard and phone, and whatever fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import Live
from paged import Held, Screen, browser, paged
from served import KEYS

from tastemaker.errors import LanguageModelError, UsageError

pytestmark = pytest.mark.slow
pytest.importorskip("lancedb", reason="pip install 'tastemaker[search]'")

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "reduced_motion": "reduce"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, Held]]:
    with paged(tmp_path_factory.mktemp("page")) as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture
def held(served: tuple[Live, Held]) -> Iterator[Held]:
    yield served[1]
    served[1].gate.set()
    served[1].fails, served[1].degrades = None, False


@pytest.fixture
def screen(chromium: Any, served: tuple[Live, Held], held: Held) -> Iterator[Screen]:
    found = Screen(chromium, served[0])
    yield found
    found.is_tame()
    found.context.close()


def test_the_whole_story(screen: Screen) -> None:
    screen.check("input[value=known]", force=True)
    screen.fill("#user", "u3")
    screen.click("#user-options li >> nth=0")
    assert screen.inner_text("#user-note").count(",") == 2, "what that user chose last"
    assert "Crime" in screen.say("a crime film, not horror")
    first = screen.cards
    assert len(first) == 10
    assert all(screen.locator(".card .reason").all_inner_texts()), "each has its reason"
    assert all("Crime" in kinds for kinds in screen.locator(".card .kinds").all_inner_texts())
    assert screen.inner_text("#whom") == "As user u3"
    assert screen.chips == ["Crime", "not Horror"]

    oldest = min(screen.years)
    screen.say("older, and not Ada Stone")
    assert "not Ada Stone" in screen.chips
    assert screen.cards
    assert screen.cards != first
    assert max(screen.years) < max(1999, oldest)

    screen.click(".reply:last-child .card:nth-child(1) .why")
    panel = screen.locator(".reply:last-child .card:nth-child(1) .because[aria-busy=false]")
    panel.wait_for()
    assert panel.locator(".evidence li").count() > 0, "items of the history speak for it"
    assert "Ada Stone" not in panel.locator(".facts").inner_text()
    second = screen.cards[1]
    why = screen.say("why the second one?")
    assert "shares" in why
    assert screen.cards == [second]

    screen.say("a comedy")
    disliked, liked = screen.cards[:2]
    screen.click(f".reply:last-child [data-item={disliked}] .dislike")
    screen.locator(f".reply:last-child [data-item={disliked}] .dislike[aria-pressed=true]").wait_for()
    screen.click(f".reply:last-child [data-item={liked}] .like")
    screen.locator(f".reply:last-child [data-item={liked}] .like[aria-pressed=true]").wait_for()
    with screen.answered():
        screen.click("#again")
    assert not {disliked, liked} & {*screen.cards}
    assert screen.is_hidden("#again")

    screen.say("from the 1980s")
    assert {year // 10 for year in screen.years} == {198}
    chips = screen.chips
    with screen.answered():
        screen.click(f"#filters li:nth-child({1 + chips.index('Comedy')}) button")
    assert screen.chips == [one for one in chips if one != "Comedy"]
    assert {year // 10 for year in screen.years} == {198}
    assert not all("Comedy" in kinds for kinds in screen.locator(".reply:last-child .kinds").all_inner_texts())
    with screen.answered():
        screen.click("#undo")
    assert "1980s" not in screen.words
    screen.say("a book like it?")
    assert screen.cards[0].startswith("b")
    assert screen.inner_text("#whom") == "As user u3 · in library"


def test_a_new_user_names_titles_and_a_reload_keeps_all(screen: Screen) -> None:
    for title in ("silent har", "golden harbor"):
        screen.fill("#titles", title)
        screen.locator("#titles-options li").first.wait_for()
        screen.keyboard.press("Enter")
    assert screen.locator("#chosen .words").all_inner_texts() == ["The Silent Harbor", "The Golden Harbor"]
    screen.click("#inside-toggle")
    screen.click("#ideas button >> nth=0")
    screen.locator(".reply[aria-busy=false]").wait_for()
    assert screen.inner_text("#whom") == "Liked The Silent Harbor, The Golden Harbor"
    inside = screen.inner_text("#inside")
    assert all(word in inside for word in ("Understood as", "recommend", " ms", "Candidates: ", "No language model"))
    shown, reasons = screen.cards, screen.locator(".reason").all_inner_texts()
    assert any("Harbor" in reason for reason in reasons)
    screen.click(".card:nth-child(1) .like")
    screen.locator(".card:nth-child(1) .like[aria-pressed=true]").wait_for()
    address = screen.url
    assert re.search(r"#/[0-9a-f]{32}$", address)
    screen.reload()
    screen.locator(".reply[aria-busy=false] .card").first.wait_for()
    assert (screen.cards, screen.locator(".reason").all_inner_texts()) == (shown, reasons)
    assert screen.get_attribute(".card:nth-child(1) .like", "aria-pressed") == "true"
    assert screen.is_visible("#inside")
    name = screen.inner_text("#dialogues a[aria-current=page] .name")
    assert screen.title() == f"{name} · tastemaker"

    screen.click("#new")
    screen.locator("#start").wait_for()
    assert screen.inner_text("#chosen") == ""
    screen.say("surprise me")
    screen.locator("#dialogues [aria-current]").wait_for()
    screen.go_back()
    screen.click(f"#dialogues a[href='{address[address.index('#') :]}']")
    screen.locator(f".card[data-item={shown[0]}]").wait_for()
    count = screen.locator("#dialogues li").count()
    screen.click("#dialogues li:has([aria-current]) button")
    screen.click("#delete-no")
    assert screen.locator("#dialogues li").count() == count
    screen.click("#dialogues li:has([aria-current]) button")
    screen.click("#delete-dialog [type=submit]")
    screen.locator("#start").wait_for()
    for page in (screen.page, screen.context.new_page()):
        page.goto(address)
        page.locator("#trouble", has_text="not there any more").wait_for()


def test_a_reply_can_be_stopped(screen: Screen, held: Held) -> None:
    held.gate.clear()
    screen.fill("#say", "a drama")
    screen.keyboard.press("Enter")
    screen.locator(".reply[aria-busy=true] .words:not(:empty)").wait_for()
    assert screen.is_hidden("#send")
    screen.click("#stop")
    screen.locator(".reply[aria-busy=false]").wait_for()
    assert "Stopped" in screen.inner_text(".reply")
    assert screen.evaluate("document.activeElement.id") == "say"
    held.gate.set()
    screen.click(".after button")
    screen.locator(".reply .actions:enabled").first.wait_for()
    assert (screen.locator(".said").count(), len(screen.cards)) == (1, 10)


def test_what_fails_is_told_and_can_be_tried_again(screen: Screen, held: Held) -> None:
    held.fails = UsageError("the catalogue has no column 'colour'")
    screen.say("a drama")
    assert "has no column" in screen.inner_text(".reply .aside")
    held.fails = LanguageModelError("secret")
    screen.click("text=Back to the start")
    assert screen.input_value("#say") == "a drama"
    with screen.answered():
        screen.keyboard.press("Enter")
    assert "language model was not there" in screen.inner_text(".reply .aside")
    assert screen.cards
    held.fails, held.degrades = None, True
    screen.say("a comedy")
    assert "rules and the recommender" in screen.inner_text(".reply:last-child .aside")
    screen.route("**/v1/chat", lambda route: route.abort())
    screen.say("older")
    assert "does not answer" in screen.inner_text(".reply:last-child .aside")
    screen.unroute("**/v1/chat")
    screen.click(".reply >> text=Try again")
    screen.locator(".reply:last-child .actions:enabled").first.wait_for()
    assert screen.locator(".failed").count() == 0


def test_everything_can_be_done_by_keyboard(screen: Screen) -> None:
    screen.locator("#ideas button").first.wait_for()
    screen.keyboard.press("Tab")
    assert screen.evaluate("document.activeElement.className") == "skip"
    screen.keyboard.press("Enter")
    assert screen.evaluate("document.activeElement.id") == "say"
    screen.focus("#titles")
    screen.keyboard.type("frozen", delay=5)
    screen.locator("#titles-options li").first.wait_for()
    screen.keyboard.press("ArrowDown")
    assert screen.get_attribute("#titles", "aria-activedescendant") == "titles-options-0"
    screen.keyboard.press("Escape")
    assert screen.get_attribute("#titles", "aria-expanded") == "false"
    screen.keyboard.press("ArrowDown")
    screen.locator("#titles-options li").first.wait_for()
    screen.keyboard.press("ArrowUp")
    screen.keyboard.press("Enter")
    assert screen.locator("#chosen li").count() == 1
    screen.focus("#say")
    screen.keyboard.type("a crime film")
    with screen.answered():
        screen.keyboard.press("Enter")
    screen.wait_for_timeout(50)
    assert "1: " in screen.text_content("#status"), "the list is told to those who listen"
    screen.locator("#filters button").focus()
    with screen.answered():
        screen.keyboard.press("Enter")
    assert screen.evaluate("document.activeElement.id") == "say"
    screen.locator(".reply:last-child .like").first.focus()
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    screen.keyboard.press("Shift+Tab")
    screen.keyboard.press("Tab")
    assert screen.evaluate(outline) == "solid", "one sees where one is"
    screen.keyboard.press("Space")
    screen.locator(".like[aria-pressed=true]").wait_for()
    screen.keyboard.press("Tab")
    screen.keyboard.press("Tab")
    screen.keyboard.press("Enter")
    screen.locator(".because[aria-busy=false]").wait_for()
    assert screen.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert unnamed(screen) == []


def unnamed(screen: Screen) -> list[str]:
    """What one can operate but has no name for those who do not see it."""
    controls = "[...document.querySelectorAll('button, a, input, textarea')].filter(e => e.checkVisibility()"
    name = "e.ariaLabel || e.textContent.trim() || [...(e.labels ?? [])].map(l => l.textContent).join('')"
    found: list[str] = screen.evaluate(f"{controls} && !({name})).map(e => e.outerHTML.slice(0, 80))")
    return found


def test_a_phone_shows_all_of_it(chromium: Any, served: tuple[Live, Held], held: Held) -> None:
    screen = Screen(chromium, served[0], **PHONE)
    screen.locator("#ideas button").first.wait_for()
    screen.has_no_sideways_scroll()
    screen.say("a crime film after 1960 with Ada Stone, not horror and not comedy, please")
    screen.has_no_sideways_scroll()
    screen.tap(".card:nth-child(1) .why")
    screen.locator(".because[aria-busy=false]").wait_for()
    screen.has_no_sideways_scroll()
    assert screen.is_hidden("#new")
    screen.tap("#side-open")
    screen.locator("#new").wait_for()
    assert screen.evaluate("document.activeElement.id") == "side-close"
    screen.keyboard.press("Escape")
    screen.locator("#new").wait_for(state="hidden")
    assert screen.evaluate("document.activeElement.id") == "side-open"
    screen.tap("#side-open")
    screen.tap("#inside-toggle")
    screen.tap("#inside-close")
    screen.has_no_sideways_scroll()
    screen.is_tame()
    screen.context.close()


def test_dark_is_followed_and_chosen(chromium: Any, served: tuple[Live, Held], held: Held) -> None:
    screen = Screen(chromium, served[0], color_scheme="dark")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    dark = screen.evaluate(ground)
    assert sum(map(int, re.findall(r"\d+", dark))) < 100
    screen.click("#theme")
    assert screen.inner_text("#theme") == "Theme: light"
    light = screen.evaluate(ground)
    assert sum(map(int, re.findall(r"\d+", light))) > 650
    screen.reload()
    assert screen.evaluate(ground) == light
    screen.click("#theme")
    screen.emulate_media(color_scheme="light")
    assert screen.evaluate(ground) == dark
    screen.click("#theme")
    assert (screen.inner_text("#theme"), screen.evaluate(ground)) == ("Theme: automatic", light)
    screen.is_tame()
    screen.context.close()


def test_a_key_is_asked_for_and_kept_in_the_tab_alone(chromium: Any, tmp_path: Path) -> None:
    with paged(tmp_path, keyed=True) as (live, _):
        screen = Screen(chromium, live)
        screen.locator("#key-dialog[open]").wait_for()
        screen.fill("#key", "not-a-key-of-this-service")
        screen.keyboard.press("Enter")
        screen.locator("#key-note", has_text="not a key").wait_for()
        screen.fill("#key", KEYS["bob"])
        screen.keyboard.press("Enter")
        screen.locator("#ideas button").first.wait_for()
        screen.say("a drama")
        assert screen.evaluate(
            "[sessionStorage['tastemaker.key'], localStorage['tastemaker.key'], document.cookie]"
        ) == [
            KEYS["bob"],
            None,
            "",
        ]
        screen.click("#key-forget")
        screen.locator("#key-dialog[open]").wait_for()
        screen.keyboard.press("Escape")
        screen.locator("#trouble").wait_for()
        assert screen.evaluate("sessionStorage['tastemaker.key'] ?? null") is None
        screen.is_tame()
        screen.context.close()


def test_a_conversation_that_comes_late_does_not_land_on_another(screen: Screen) -> None:
    screen.say("surprise me")
    address = screen.url[screen.url.index("#") :]
    screen.click("#new")
    screen.locator("#start").wait_for()
    held: list[Any] = []
    screen.route("**/v1/dialogues/*", lambda route: held.append(route))
    with screen.expect_request("**/v1/dialogues/*"):
        screen.click(f"#dialogues a[href='{address}']")
    screen.click("#new")
    screen.locator("#start").wait_for()
    with screen.expect_response("**/v1/dialogues/*"):
        held[0].continue_()
    screen.wait_for_timeout(200)
    assert screen.locator(".said").count() == screen.locator(".reply").count() == 0
    assert screen.is_visible("#start")


def test_a_list_of_conversations_that_comes_late_takes_nothing_away(screen: Screen) -> None:
    held: list[Any] = []
    rows = screen.locator("#dialogues li")
    screen.say("surprise me")
    screen.locator("#dialogues [aria-current]").wait_for()
    before = rows.count()
    screen.route("**/v1/dialogues", lambda route: held.append((route, route.fetch())), times=1)
    screen.click("#new")
    with screen.expect_request("**/v1/dialogues"):
        screen.say("a drama")
    screen.click("#new")
    screen.say("a comedy")
    rows.nth(before + 1).wait_for()
    with screen.expect_response("**/v1/dialogues"):
        held[0][0].fulfill(response=held[0][1])
    screen.wait_for_timeout(100)
    assert rows.count() == before + 2, "an older list came last and was shown"


def test_a_new_list_of_conversations_leaves_the_focus_where_it_was(screen: Screen) -> None:
    held: list[Any] = []
    screen.say("surprise me")
    screen.locator("#dialogues [aria-current]").wait_for()
    rows = screen.locator("#dialogues li")
    before = rows.count()
    screen.route("**/v1/dialogues", lambda route: held.append(route), times=1)
    screen.click("#new")
    with screen.expect_request("**/v1/dialogues"):
        screen.say("a drama")
    screen.locator("#dialogues [data-id] + button").first.focus()
    where = "[document.activeElement.localName, document.activeElement.parentNode.querySelector('a').dataset.id]"
    focused = screen.evaluate(where)
    held[0].continue_()
    rows.nth(before).wait_for()
    assert screen.evaluate(where) == focused


def test_a_list_of_conversations_that_cannot_be_had_is_told(screen: Screen) -> None:
    screen.route("**/v1/dialogues", lambda route: route.abort())
    screen.say("surprise me")
    screen.locator("#trouble", has_text="not up to date").wait_for()


def test_what_could_not_be_deleted_is_not_called_deleted(screen: Screen) -> None:
    screen.say("surprise me")
    screen.locator("#dialogues [aria-current]").wait_for()
    address, rows = screen.url, screen.locator("#dialogues li").count()
    screen.route("**/v1/dialogues/*", lambda route: route.abort())
    screen.locator("#dialogues button").first.focus()
    screen.keyboard.press("Enter")
    screen.click("#delete-dialog .filled")
    screen.locator("#trouble:not([hidden])").wait_for()
    assert "was not deleted" in screen.inner_text("#trouble p")
    assert (screen.url, screen.locator("#dialogues li").count()) == (address, rows)
    assert "Deleted" not in screen.text_content("#status")
