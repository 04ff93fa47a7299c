"""More candidates, longer histories -> what an answer costs, as numbers and as a plot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import prompts
from benchmarks.speed import works
from benchmarks.speed.duel import timed
from tastemaker.llm.local import LocalLM
from tastemaker.prompts.prompt import Prompt

CANDIDATES = (20, 50, 100)
HISTORIES = (10, 50)
GOES = 3
USERS = 2


@dataclass(frozen=True, slots=True)
class Point:
    """One kind of question at one size."""

    way: str
    candidates: int
    history: int
    users_per_second: float
    tokens_per_second: float
    """Of what the naive recipe would read for the same answers once: prompt and candidates."""


def measure(lm: LocalLM, shelf: prompts.Shelf, users: int = USERS) -> list[Point]:
    """Titles scored after the prompt that lists them, and yes or no for each by the default template."""
    points = []
    for history in HISTORIES:
        for candidates in CANDIDATES:
            shown = prompts.choices(shelf, users, history=history, candidates=candidates)
            rated = prompts.likings(shelf, users, history=history, targets=candidates)
            read = sum(lm.length(Prompt.of(one.prompt)) for one in shown)
            read += sum(lm.length(Prompt.of(text)) for one in shown for text in one.answers)
            points.append(_point("titles scored", candidates, history, users, read, works.titles(lm, shown)))
            read = sum(lm.length(Prompt.of(", ".join(one.history))) for one in rated)
            read += sum(lm.length(Prompt.of(title)) for one in rated for title in one.targets)
            points.append(_point("yes/no", candidates, history, users, read, works.default(lm, rated)))
    return points


def later_targets(lm: LocalLM, shelf: prompts.Shelf, users: int = 16, targets: int = 50) -> float:
    """What each target after the first costs, as a share of the first, in the default yes/no template."""
    many = prompts.likings(shelf, users, targets=targets)
    one = [prompts.Liking(each.history, each.targets[:1], each.liked[:1]) for each in many]
    works.default(lm, one)(), works.default(lm, many)()
    first, all_ = (median([timed(works.default(lm, asked)) for _ in range(GOES)]) for asked in (one, many))
    return (all_ - first) / (targets - 1) / first


def plot(points: Sequence[Point]) -> str:
    """Milliseconds a user against candidates, a line for each history and each kind of question, as SVG."""
    width, height, left, bottom = 640, 360, 64, 48
    top = max(1000 / point.users_per_second for point in points) * 1.1
    most = max(CANDIDATES)

    def x(candidates: float) -> float:
        return left + (width - left - 170) * candidates / most

    def y(milliseconds: float) -> float:
        return (height - bottom) - (height - bottom - 24) * milliseconds / top

    drawn = [
        f'<text x="{left}" y="16">milliseconds a user, by candidates</text>',
        f'<path d="M{left} 24V{height - bottom}H{width - 170}" fill="none" stroke="currentColor"/>',
    ]
    drawn += [f'<text x="{x(c):.0f}" y="{height - bottom + 18}" text-anchor="middle">{c}</text>' for c in CANDIDATES]
    drawn += [
        f'<text x="{left - 8}" y="{y(top * k / 4):.0f}" text-anchor="end">{top * k / 4:,.0f}</text>' for k in range(5)
    ]
    lines = dict.fromkeys((point.way, point.history) for point in points)
    colours = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0")
    for colour, (way, history) in zip(colours, lines, strict=False):
        those = [point for point in points if (point.way, point.history) == (way, history)]
        placed = [(x(point.candidates), y(1000 / point.users_per_second)) for point in those]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in placed)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in placed]
        end = f'x="{placed[-1][0] + 8:.0f}" y="{placed[-1][1] + 4:.0f}"'
        drawn.append(f'<text {end} fill="{colour}">{way}, {history} seen</text>')
    style = "font: 12px system-ui, sans-serif; fill: currentColor; color: #777"
    inner = "\n".join(drawn)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" style="{style}">\n{inner}\n</svg>\n'


def _point(way: str, candidates: int, history: int, users: int, read: int, work: Callable[[], object]) -> Point:
    work()
    seconds = median([timed(work) for _ in range(GOES)])
    return Point(way, candidates, history, users / seconds, read / seconds)
