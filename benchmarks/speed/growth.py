"""More candidates, longer histories -> what an answer costs, as numbers and as a plot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import prompts
from benchmarks.plot import drawn
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
    lines: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        name = f"{point.way}, {point.history} seen"
        lines.setdefault(name, []).append((point.candidates, 1000 / point.users_per_second))
    return drawn("milliseconds a user, by candidates", lines)


def _point(way: str, candidates: int, history: int, users: int, read: int, work: Callable[[], object]) -> Point:
    work()
    seconds = median([timed(work) for _ in range(GOES)])
    return Point(way, candidates, history, users / seconds, read / seconds)
