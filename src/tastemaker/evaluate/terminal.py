"""A Result -> what the command line prints: one table with every row, and the paired tests under it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from tastemaker.evaluate import wording
from tastemaker.evaluate.result import Pair, Result, Row

_NAMES = 24
"""Columns that names have at least."""


class ResultTable:
    """``console.print(ResultTable(result))``: as many metrics as there is room for, the headline with its interval.

    In a wide terminal every metric has its interval. A star marks the best row of the headline metric; the rows are
    grouped by kind and none is ever left out.
    """

    def __init__(self, result: Result) -> None:
        self.result = result

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        result = self.result
        names = max(_NAMES, *(len(row.system) + 2 for row in result.rows))
        room = options.max_width - names - 42
        roomy = room >= sum(_width(result, name) for name in result.columns[1:])
        shown = result.columns if roomy else _fitting(result.columns, room)
        yield Text(f"{result.name}: {result.n:,} cases; {result.describes or result.protocol}", style="bold")
        yield self._rows(shown, roomy)
        if len(shown) < len(result.columns):
            yield Text(f"no room for {', '.join(n for n in result.columns if n not in shown)}", style="dim")
        if result.published:
            yield Text(f"{wording.PUBLISHED}:", style="italic")
            yield from (Text(f"  {wording.published(one)}", style="dim") for one in result.published)
        for remark in result.remarks:
            yield Text(remark, style="dim")
        for name, pairs in result.paired_on:
            yield Text(f"\nPaired by user on {name}; p after Holm's correction", style="bold")
            yield self._pairs(pairs)
        for name in result.columns[:2]:
            lines = wording.slice_table(result, name)
            if lines:
                yield self._slices(lines)

    def _rows(self, columns: tuple[str, ...], roomy: bool) -> Table:
        result = self.result
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        table.add_column("", overflow="fold", min_width=_NAMES)
        for i, name in enumerate(columns):
            heading = f"{name} [95 %]" if _bracketed(result, name) and (roomy or not i) else name
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("lists", justify="right", no_wrap=True)
        table.add_column("per 1,000", justify="right", no_wrap=True)
        best = result.best(result.headline)
        for kind, rows in result.groups:
            table.add_row(Text(wording.kind_title(kind), style="dim italic"))
            for row in rows:
                cells = [_value(row, name, interval=roomy or not i) for i, name in enumerate(columns)]
                mark, style = ("* ", "bold") if row.system in best else ("  ", None)
                cost = wording.seconds(row.seconds_per_1000)
                table.add_row(Text(mark + row.system), *cells, str(row.draws), cost, style=style)
            table.add_section()
        return table

    def _slices(self, lines: list[list[str]]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        for i, name in enumerate(lines[0]):
            table.add_column(name, justify="right" if i else "left", overflow="fold")
        for line in lines[1:]:
            table.add_row(*map(Text, line))
        return table

    def _pairs(self, pairs: Sequence[Pair]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        table.add_column(f"{pairs[0].a} less", overflow="fold", min_width=_NAMES)
        for name in ("delta", "95 %", "p", "lists"):
            table.add_column(name, justify="right", no_wrap=True)
        for pair in pairs:
            name = f"{pair.b} (best without LLM)" if pair.best_non_llm else pair.b
            ends = Text(wording.interval(pair.ci95, sign=True))
            p = wording.p_value(pair.p_holm)
            table.add_row(Text(name), wording.signed(pair.delta), ends, p, str(pair.draws))
        return table


def _bracketed(result: Result, name: str) -> bool:
    return any(name in row.ci95 for row in result.rows)


def _width(result: Result, name: str) -> int:
    """Of a column that shows all there is to say of that metric."""
    return 24 if _bracketed(result, name) else len(name) + 2


def _fitting(columns: tuple[str, ...], room: int) -> tuple[str, ...]:
    """The headline, which always has room, and what of the rest fits into ``room`` characters."""
    shown = columns[:1]
    for name in columns[1:]:
        room -= max(len(name), 5) + 2
        if room < 0:
            break
        shown += (name,)
    return shown


def _value(row: Row, name: str, *, interval: bool) -> Text:
    ends = wording.interval(row.ci95.get(name)) if interval else ""
    return Text(f"{wording.number(row.metrics.get(name))} {ends}".rstrip())
