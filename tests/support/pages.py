"""Markdown pages -> their code, links and tables of contents; and a command as the command line understands it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.main import get_command

from tastemaker.cli._main import application

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^(`{3,})(.*)$")
SHELL = ("tastemaker ", "make ", "pip ", "python ", "TASTEMAKER_DATA=", "curl ", "export ")
"""How a line of an indented block begins that is for a shell."""


@dataclass(frozen=True)
class Block:
    """A piece of code."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command, lines that end in a backslash joined, comments left out."""
        if self.language != "bash":
            return []
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def pages() -> list[Path]:
    """All of the documentation."""
    return sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)


def blocks(page: Path) -> list[Block]:
    """The code of a page: what is fenced by its language, what is indented by how it looks."""
    return [*_fenced(page), *_indented(page)]


def _fenced(page: Path) -> Iterator[Block]:
    for start, language, lines, _ in _parts(page):
        if language is not None and not language.startswith("{"):
            yield Block(page, start, language, "\n".join(lines))


def _indented(page: Path) -> Iterator[Block]:
    for start, language, lines, _ in _parts(page):
        if language is None:
            text = "\n".join(lines)
            for found in re.finditer(r"(?:^|\n\n)((?: {4}.*(?:\n|$)|\n(?= {4}))+)", text):
                code = "\n".join(line[4:] for line in found[1].splitlines())
                at = start + text[: found.start(1)].count("\n")
                yield Block(page, at, "bash" if code.strip().startswith(SHELL) else "python", code)


def toctrees(page: Path) -> Iterator[Path]:
    """The pages that a page's tables of contents name, globs resolved."""
    for _, language, lines, _ in _parts(page):
        if language == "{toctree}":
            for entry in (line.strip() for line in lines):
                if entry and not entry.startswith(":"):
                    yield from page.parent.glob(f"{entry}.md") if "*" in entry else [page.parent / f"{entry}.md"]


def links(page: Path) -> list[str]:
    """Where links to other files lead."""
    text = "\n".join(line for _, language, lines, _ in _parts(page) if language is None for line in lines)
    return [to for to in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in to]


def command_of(words: list[str]) -> tuple[str, dict[str, Any]]:
    """``data split`` and its parameters. Raises what the parser of arguments raises for what it does not know."""
    command: Any = get_command(application())
    context = command.make_context("tastemaker", words[1:])
    path = []
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)
        path.append(name)
    return " ".join(path), dict(context.params)


def _parts(page: Path) -> Iterator[tuple[int, str | None, list[str], str]]:
    """First line, language (None: text), lines and closing mark of each part of a page."""
    start, language, lines, mark = 1, None, list[str](), ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        found = FENCE.match(line)
        if found and not mark:
            yield start, None, lines, ""
            start, language, lines, mark = number + 1, found[2].strip(), [], found[1]
        elif found and found[1] == mark and not found[2]:
            yield start, language, lines, mark
            start, language, lines, mark = number + 1, None, [], ""
        else:
            lines.append(line)
    yield start, language, lines, mark
