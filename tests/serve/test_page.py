"""The page's files, without a browser: all there, nothing inline, nothing from elsewhere, nothing that makes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import cinema
import pytest
from served import Serve, Served

from tastemaker.serve.page import STATIC
from tastemaker.serve.recommendations import Recommendations

HTML = (STATIC / "index.html").read_text()
MODULES = sorted(path.name for path in STATIC.glob("*.js"))
TYPES = {".js": "javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
MAKES_MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|createContextualFragment|"
    r"\beval\b|new Function|javascript:|setHTML|cssText|setAttribute\(\"style|\.on[a-z]+ = [\"'`]"
)
ELSEWHERE = re.compile(r"https?:|//[a-z]|url\(|@import|@font-face")


class Tags(HTMLParser):
    """Every element with its attributes, and the texts of scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.inline: list[str] = []
        self.feed(HTML)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem and data.strip():
            self.inline.append(data)

    def values(self, *names: str) -> list[str]:
        return [attributes[name] for _, attributes in self.tags for name in names if name in attributes]


def test_every_file_is_there_without_a_key(served: Served) -> None:
    files = [link for link in Tags().values("src", "href") if link.startswith("/")]
    imported = {
        f"/static/{name}" for path in STATIC.glob("*.js") for name in re.findall(r'"\./(.+?)"', path.read_text())
    }
    assert imported <= {*files}, "each module is asked for at once, not when the one before has come"
    assert {f"/static/{name}" for name in MODULES} == {one for one in files if one.endswith(".js")}
    assert len(files) >= 16
    for path in ("/", *files):
        answer = served.ask("GET", path, key="")
        assert answer.status_code == 200, path
        assert TYPES[Path(path).suffix or ".html"] in answer.headers["content-type"]
        assert answer.headers["cache-control"] == ("no-store" if path == "/" else "no-cache")
    told = {"if-none-match": served.ask("GET", "/static/app.js", key="").headers["etag"]}
    assert served.ask("GET", "/static/app.js", key="", headers=told).status_code == 304


def test_nothing_is_inline_and_nothing_from_elsewhere() -> None:
    page = Tags()
    assert page.inline == []
    assert not [tag for tag, _ in page.tags if tag in ("style", "img", "iframe", "object", "embed", "base")]
    names = {name for _, attributes in page.tags for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in ("style", "srcdoc", "formaction")]
    assert not [one for one in page.values("src", "href") if not one.startswith(("/static/", "#"))]
    assert sum(path.stat().st_size for path in STATIC.iterdir()) < 100_000, "a page is there at once"


@pytest.mark.parametrize("name", [*MODULES, "page.css", "icon.svg"])
def test_no_file_makes_markup_or_asks_elsewhere(name: str) -> None:
    text = (STATIC / name).read_text().replace("http://www.w3.org/2000/svg", "")
    assert not MAKES_MARKUP.search(text)
    assert not ELSEWHERE.search(re.sub(r"(?m)^ *//.*$", "", text))


def test_what_modules_and_labels_name_is_on_the_page() -> None:
    page = Tags()
    ids = page.values("id")
    assert len(ids) == len({*ids})
    scripts = "".join((STATIC / name).read_text() for name in MODULES)
    templates = {f"t-{name}" for name in re.findall(r'stamp\("(\w+)"', scripts)}
    named = {
        *re.findall(r'\$\("#([\w-]+)', scripts),
        *templates,
        *page.values("for", "aria-controls", "aria-labelledby"),
    }
    assert named <= {*ids}
    assert {one.removeprefix("#") for one in page.values("href") if one.startswith("#i-")} <= {*ids}
    for tag, attributes in page.tags:
        assert tag != "button" or "type" in attributes
        assert tag != "html" or attributes["lang"]


def test_colours_can_be_told_apart_in_both_lights() -> None:
    """WCAG 2.2: 4.5 for text, 3 for edges that say where to click."""
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", (STATIC / "page.css").read_text())
    for light in (0, 1):
        colour = {name: (day, night)[light] for name, day, night in found}
        grounds = [colour[name] for name in ("paper", "raised", "sunken", "tint")]
        for text, ground in product(("ink", "muted", "accent"), grounds):
            assert contrast(colour[text], ground) >= 4.5, (text, ground)
        assert contrast(colour["on-accent"], colour["accent"]) >= 4.5
        assert contrast(colour["edge"], colour["paper"]) >= 3


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_first_screen_is_told_what_there_is(serve: Serve, tmp_path: Path) -> None:
    served = serve()
    about = served.ask("GET", "/v1/about").json()
    assert about == {"name": served.service.recommendations.name, "domains": [about["name"]], "ideas": []}
    assert served.ask("GET", "/v1/users?q=u1").json() == {"users": [{"user_id": "u1", "latest": []}]}
    pytest.importorskip("lancedb", reason="pip install 'tastemaker[search]'")
    served.service.conversation = cinema.engine(tmp_path)
    served.service.recommendations = Recommendations(cinema.recommender("cinema"))
    about = served.ask("GET", "/v1/about").json()
    assert about["domains"] == ["cinema", "library"]
    assert about["ideas"][0].endswith(" from the 1970s")
    assert served.ask("POST", "/v1/chat", {"message": about["ideas"][1], "stream": False}).json()["items"]
    found = served.ask("GET", "/v1/users?q=u1&n=3").json()["users"]
    assert [one["user_id"] for one in found] == ["u1", "u10", "u11"]
    assert all(len(one["latest"]) == 3 for one in found)
    assert served.ask("GET", "/v1/users?q=%3Cscript%3E").json() == {"users": []}
    assert served.ask("GET", f"/v1/users?q={'x' * 201}").status_code == 422
