"""Numbers of a result -> the words and digits in which tables, pages and reports alike show them."""

from __future__ import annotations

from tastemaker.evaluate.result import Pair, Published, Result, higher_is_better
from tastemaker.evaluate.significance import Interval

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
KIND_TITLES = {
    "trivial": "Trivial baselines",
    "collaborative": "Collaborative models",
    "llm": "With a language model",
}

PUBLISHED = "Published, not measured here (other models, other candidate lists)"


def kind_title(kind: str) -> str:
    """The heading above the rows of that kind."""
    return KIND_TITLES.get(kind, kind)


def slice_table(result: Result, metric: str) -> list[list[str]]:
    """How the rows do on some of the cases: a heading, what is in each slice, and a line for every row."""
    rows = [row for _, group in result.groups for row in group if row.slices]
    if not rows:
        return []
    slices = rows[0].slices
    return [
        [metric, *(one.name for one in slices)],
        ["cases", *(f"{one.n:,}" for one in slices)],
        ["users, of them with both answers", *(f"{one.users:,}, {one.usable:,}" for one in slices)],
        *([row.system, *(number(one.metrics.get(metric)) for one in row.slices)] for row in rows),
    ]


def number(value: float | None) -> str:
    """Three decimals, fewer for large values, a dash for none."""
    if value is None:
        return DASH
    size = abs(value)
    return f"{value:.3f}" if size < 10 else f"{value:.1f}" if size < 1000 else f"{value:,.0f}"


def signed(value: float) -> str:
    """With its sign, and a true minus."""
    return f"{value:+.3f}".replace("-", MINUS)


def interval(ends: Interval | None, *, sign: bool = False) -> str:
    """``[0.346, 0.542]``; empty for none."""
    if ends is None:
        return ""
    show = signed if sign else number
    return f"[{show(ends.low)}, {show(ends.high)}]"


def p_value(p: float) -> str:
    """Three decimals, and never "0.000"."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def seconds(value: float | None) -> str:
    """A duration short enough for a table."""
    if value is None:
        return DASH
    if value >= 600:
        return f"{value / 60:,.0f} min"
    if value >= 1:
        return f"{value:,.0f} s" if value >= 10 else f"{value:.1f} s"
    return f"{1000 * value:.0f} ms" if value >= 0.01 else f"{1000 * value:.1f} ms"


def published(one: Published) -> str:
    """What others report, in their own digits, and where."""
    values = ", ".join(f"{name} {value:.4g}" for name, value in one.metrics.items())
    return f"{one.system} {values} ({one.source})"


def verdict(pair: Pair) -> str:
    """What the paired test says, in one sentence."""
    sign = -1.0 if higher_is_better(pair.metric) is False else 1.0
    ends = sorted(sign * end for end in pair.ci95)
    found = pair.p_holm <= 0.05
    told = "ahead of" if found and ends[0] > 0 else "behind" if found and ends[1] < 0 else "not distinguishable from"
    p = p_value(pair.p_holm)
    return (
        f"{pair.a} is {told} {pair.b}: {signed(pair.delta)} {pair.metric} "
        f"{interval(pair.ci95, sign=True)}, p {p if p.startswith('<') else f'= {p}'}"
    )


def headline(result: Result) -> str:
    """The whole result in a sentence or two, for the top of a page."""
    name = result.headline
    rows = {row.system: row for row in result.rows}
    focus = rows.get(result.focus) or next((rows[s] for s in sorted(result.best(name))), result.rows[0])
    ends = interval(focus.ci95.get(name))
    first = f"{focus.system}: {name} {number(focus.metrics.get(name))}" + (f" {ends}" if ends else "")
    pair = next((p for p in result.paired if p.best_non_llm and p.a == focus.system), None)
    return f"{first}. {verdict(pair)}." if pair else f"{first}."
