"""Hostile words on the page, in a real Chromium: they stay words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from paged import Screen, browser, paged

pytestmark = pytest.mark.slow
pytest.importorskip("lancedb", reason="pip install 'tastemaker[search]'")

HOSTILE: list[str] = json.loads(Path(__file__).with_name("xss.json").read_text())
CONTENTS = """() => {
  const all = [...document.querySelectorAll('*')];
  const watched = 'script link style meta base img iframe object embed form math details video audio'.split(' ');
  return [
    watched.map((tag) => [tag, document.getElementsByTagName(tag).length]),
    all.filter((e) => [...e.attributes].some((a) => a.name.startsWith('on') || a.name === 'srcdoc')).length,
    all.filter((e) => e.tagName === 'A' && !e.getAttribute('href').startsWith('#')).length,
    all.filter((e) => /[<>"'&]/.test(e.tagName)).length,
  ];
}"""


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    """As titles, attributes, messages, names of conversations and user ids."""
    with browser() as chromium, paged(tmp_path) as (live, held):
        rows = [
            {"item_id": f"x{i} {text}", "title": text, "genres": ["Hostile", text], "year": 2000}
            for i, text in enumerate(HOSTILE)
        ]
        held.add_items(rows)
        screen = Screen(chromium, live)
        screen.locator("#ideas button").first.wait_for()
        before = screen.evaluate(CONTENTS)
        screen.fill("#titles", "script")
        screen.locator("#titles-options li").first.wait_for()
        assert "<script>" in screen.inner_text("#titles-options")
        screen.keyboard.press("Enter")
        screen.click("#inside-toggle")
        shown: set[str] = set()
        for text in ("hostile", "more", "more", "more"):
            screen.say(text)
            shown |= {*screen.locator(".card .title").all_text_contents()}
            for why in screen.query_selector_all(".reply:last-child .why")[:3]:
                why.click()
        assert len({*HOSTILE} & shown) >= 25, "titles are there as they are"
        for text in HOSTILE[::6]:
            screen.say(text)
            assert screen.locator(".said").last.inner_text().endswith(text)
        for text in HOSTILE:
            screen.evaluate(
                "(message) => fetch('/v1/chat', {method: 'POST', headers: {'Content-Type': "
                "'application/json'}, body: JSON.stringify({message, stream: false})}).then(r => r.json())",
                text,
            )
        screen.reload()
        screen.locator(".reply .card").first.wait_for()
        screen.locator("#dialogues li").nth(len(HOSTILE)).wait_for()
        names = {*screen.locator("#dialogues .name").all_text_contents()}
        assert len({text[:60] for text in HOSTILE} & names) >= 28
        screen.click("#dialogues a >> nth=1")
        screen.locator(".said").nth(1).wait_for(state="detached")  # the conversation before had several
        screen.locator(".said").wait_for()
        screen.click("#dialogues li:nth-child(2) button")
        screen.click("#delete-no")
        screen.click("#new")
        screen.locator("#who").wait_for()  # the address changes first, the page right after it
        screen.check("input[value=known]", force=True)
        screen.fill("#user", HOSTILE[2])
        screen.say(HOSTILE[2])
        assert "nobody of that id" in screen.inner_text(".failed")
        screen.goto(f"{live.url}/#/{HOSTILE[0]}")
        assert screen.evaluate(CONTENTS) == before
        screen.is_tame()
        screen.context.close()
