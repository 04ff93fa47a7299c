"""results/*.json -> RESULTS.md and the tables inside README.md, so that no page says what no file holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tastemaker.artifacts import write_atomic
from tastemaker.errors import DataError
from tastemaker.evaluate import wording
from tastemaker.evaluate.result import Pair, Result, Row, higher_is_better, read_result

_MARKED = re.compile(r"(<!-- results:([a-z0-9][a-z0-9 ._-]*) -->\n).*?(<!-- /results -->)", re.DOTALL)
_INTRODUCTION = """# Results

Generated from the files in `results/`; do not edit. Brackets are 95 % intervals: Wilson's for one yes-or-no outcome a
user, else bootstrapped over users with all their lists. Paired tests compare the same users on the same lists: exact
McNemar for one yes-or-no outcome a user, else sign flips over users; p is after Holm's correction. Every row that was
measured is shown, ties score the mean over their places, and every metric is divided by all cases.
"""


def results_md(results_dir: str | Path) -> str:
    """RESULTS.md: one section per result, by name. Raises `DataError` for a file that is no result."""
    results = [read_result(path) for path in sorted(Path(results_dir).glob("*.json"))]
    return "\n".join([_INTRODUCTION, *(_section(result) for result in results)])


def fill_readme(text: str, results_dir: str | Path) -> str:
    """The text with what stands between ``<!-- results:NAME -->`` and ``<!-- /results -->`` written anew.

    One name is that result's table; several, with blanks between them, are a table with a line for each of them, or
    with a column for each where nothing was tested but targets were set.
    """

    def one(name: str) -> Result:
        path = Path(results_dir) / f"{name}.json"
        if not path.is_file():
            raise DataError("is asked for by a results marker but is not there; measure it or drop the marker", path)
        return read_result(path)

    def fragment(match: re.Match[str]) -> str:
        results = [one(name) for name in match[2].split()]
        targets = any("target" in result.columns for result in results)
        several = _side_by_side if targets else _summary
        return match[1] + (_fragment(results[0]) if len(results) == 1 else several(results)) + match[3]

    return _MARKED.sub(fragment, text)


def write_pages(root: str | Path) -> list[Path]:
    """RESULTS.md and README.md under ``root`` brought up to date; the files that changed."""
    root = Path(root)
    readme = root / "README.md"
    pages = {root / "RESULTS.md": results_md(root / "results")}
    if readme.is_file():
        pages[readme] = fill_readme(readme.read_text(encoding="utf-8"), root / "results")
    changed = [path for path, text in pages.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in changed:
        write_atomic(path, pages[path].encode())
    return changed


def _section(result: Result) -> str:
    lines = [f"## {result.name}", "", f"{wording.headline(result)} {result.n:,} cases, {_protocol(result)}.", ""]
    lines += _table(result, result.columns)
    for remark in result.remarks:
        lines += ["", remark]
    for _, pairs in result.paired_on:
        lines += ["", *_pairs(pairs)]
    for name in result.columns[:2]:
        lines += _slices(wording.slice_table(result, name))
    notes = [f"- {row.system}: {row.notes}" for row in result.rows if row.notes]
    if notes:
        lines += ["", *notes]
    if result.published:
        lines += ["", f"{wording.PUBLISHED}:", "", *(f"- {wording.published(one)}" for one in result.published)]
    if result.missing:
        lines += ["", f"Not measured yet: {', '.join(result.missing)}."]
    return "\n".join([*lines, "", *_facts(result), ""])


def _fragment(result: Result) -> str:
    names = [name for name in result.columns if name in (result.headline, "valid_ratio")]
    table = "\n".join(_table(result, names))
    told = "; ".join(map(wording.published, result.published))
    return (
        f"{table}\n\n{wording.headline(result)} {result.n:,} cases, {_protocol(result)}; all of it in RESULTS.md.\n"
        + (f"\n{wording.PUBLISHED}: {told}.\n" if told else "")
    )


def _summary(results: Sequence[Result]) -> str:
    """The focus of each against the best without a language model, by each metric that was tested."""
    lines = ["| | | trivial | collaborative | with a language model | less the best without | p |"]
    lines.append("|---|---|---|---|---|---:|---:|")
    for result in results:
        pairs = [pair for pair in result.paired if pair.best_non_llm and pair.a == result.focus]
        if not pairs:
            raise DataError(f"{result.name} has no tests of {result.focus or 'a focus'} against others; show it alone")
        for pair in pairs:
            best = [_best_of(result, kind, pair.metric) for kind in ("trivial", "collaborative")]
            (own,) = (row for row in result.rows if row.system == pair.a)
            cells = [pair.metric, *best, _named(own, pair.metric)]
            cells += [f"{wording.signed(pair.delta)} {wording.interval(pair.ci95, sign=True)}"]
            name = f"[{result.name}](RESULTS.md#{result.name})" if pair is pairs[0] else ""
            lines.append("| " + " | ".join([name, *cells, wording.p_value(pair.p_holm)]) + " |")
    return "\n".join([*lines, ""])


def _side_by_side(results: Sequence[Result]) -> str:
    """All that has a target, in a line each: the target, then what every result has of it."""
    aims = {(row.kind, row.system): row.metrics["target"] for r in results for row in r.rows if "target" in row.metrics}
    named = " | ".join(f"[{result.name}](RESULTS.md#{result.name})" for result in results)
    lines = [f"| | target | {named} |", "|---|" + "---:|" * (1 + len(results))]
    for kind in dict.fromkeys(kind for kind, _ in aims):
        lines.append(f"| *{wording.kind_title(kind)}* |" + " |" * (1 + len(results)))
        for system, aim in ((system, aim) for (of, system), aim in aims.items() if of == kind):
            cells = [wording.number(aim), *(_figure(result, system) for result in results)]
            lines.append("| " + " | ".join([_escaped(system), *cells]) + " |")
    return "\n".join([*lines, ""])


def _figure(result: Result, system: str) -> str:
    """The first of the columns that the row has, which is what its target is about."""
    found = (row.metrics for row in result.rows if row.system == system)
    named = ((metrics, name) for metrics in found for name in result.columns if name in metrics and name != "target")
    return next((wording.number(metrics[name]) for metrics, name in named), wording.DASH)


def _best_of(result: Result, kind: str, metric: str) -> str:
    sign = -1.0 if higher_is_better(metric) is False else 1.0
    rows = [row for row in result.rows if row.kind == kind and metric in row.metrics]
    return _named(max(rows, key=lambda row: sign * row.metrics[metric]), metric) if rows else wording.DASH


def _named(row: Row, metric: str) -> str:
    return f"{_escaped(row.system)} {wording.number(row.metrics.get(metric))}"


def _table(result: Result, names: tuple[str, ...] | list[str]) -> list[str]:
    best = {name: result.best(name) for name in names}
    lines = ["| | " + " | ".join([*names, "lists", "per 1,000"]) + " |"]
    lines.append("|---|" + "---:|" * (len(names) + 2))
    for kind, rows in result.groups:
        lines.append(f"| *{wording.kind_title(kind)}* |" + " |" * (len(names) + 2))
        for row in rows:
            cells = [_cell(row, name, row.system in best[name]) for name in names]
            cost = wording.seconds(row.seconds_per_1000)
            lines.append("| " + " | ".join([_escaped(row.system), *cells, str(row.draws), cost]) + " |")
    return lines


def _cell(row: Row, name: str, best: bool) -> str:
    value = wording.number(row.metrics.get(name))
    ends = wording.interval(row.ci95.get(name))
    return (f"**{value}**" if best else value) + (f" {ends}" if ends else "")


def _slices(lines: list[list[str]]) -> list[str]:
    if not lines:
        return []
    head, *rest = ("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)
    return ["", head, "|---|" + "---:|" * (len(lines[0]) - 1), *rest]


def _pairs(pairs: Sequence[Pair]) -> list[str]:
    first = pairs[0]
    lines = [f"| {_escaped(first.a)} less | {first.metric} | 95 % | p | users better, alike, worse |"]
    lines.append("|---|---:|---:|---:|---:|")
    for pair in pairs:
        name = _escaped(pair.b) + (" (the best without a language model)" if pair.best_non_llm else "")
        users = ", ".join(f"{n:,}" for n in pair.users) if pair.users else wording.DASH
        ends = wording.interval(pair.ci95, sign=True)
        lines.append(f"| {name} | {wording.signed(pair.delta)} | {ends} | {wording.p_value(pair.p_holm)} | {users} |")
    return lines


def _facts(result: Result) -> list[str]:
    return [
        f"- Command: `{result.command}`",
        f"- Commit {result.commit}; seeds {_seeds(result)}; {wording.seconds(result.seconds)} on {result.machine}",
        f"- Data {result.data_hash[:16]}, candidates {(result.candidates_hash or 'none')[:16]}",
    ]


def _seeds(result: Result) -> str:
    """Those of all rows that learn, or of whom they are where rows have not the same."""
    of = dict[str, list[str]]()
    kinds = {row.system: row.kind for row in result.rows}
    for run in result.runs:
        if kinds.get(run.system) != "trivial":
            of.setdefault(run.system, []).extend([] if run.seed is None else [str(run.seed)])
    systems = dict[str, list[str]]()
    for system, seeds in of.items():
        systems.setdefault(", ".join(seeds) or "not told", []).append(system)
    if len(systems) < 2:
        return ", ".join(map(str, result.seeds)) or "none"
    most = max(systems, key=lambda seeds: len(systems[seeds]))
    return "; ".join(
        f"{seeds} of {'all others' if seeds == most else ', '.join(of)}"
        for seeds, of in sorted(systems.items(), key=lambda pair: pair[0] == most)
    )


def _protocol(result: Result) -> str:
    return f"protocol {result.protocol}" + (f" ({result.describes})" if result.describes else "")


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
