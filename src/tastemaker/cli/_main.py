"""Arguments -> a verb, and its outcome -> an exit code and at most one line of error."""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, NoReturn

import typer

from tastemaker import __version__, processes
from tastemaker.errors import UsageError

DEBUG = "--debug"
INTERRUPTED = 130
_HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with 0 (ok), 1 (failed), 2 (asked wrongly) or 130 (interrupted)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a title never fails on a terminal's encoding
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)  # as Ctrl-C: what is half-written is removed on the way out
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(_run([a for a in given if a != DEBUG], debug=DEBUG in given))


def application() -> typer.Typer:
    """The verbs of this package: a function named like its file, or a group of them."""
    app = typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=_HELP
    )
    app.callback(invoke_without_command=True)(_tastemaker)
    for found in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if found.name.startswith("_"):
            continue
        module = importlib.import_module(f"tastemaker.cli.{found.name}")
        verb = getattr(module, found.name)
        if isinstance(verb, typer.Typer):
            app.add_typer(verb, name=found.name, help=_does(module), context_settings=_HELP)
        else:
            app.command(found.name, epilog=example(module.EXAMPLE), short_help=_does(module))(verb)
    return app


def example(*lines: str) -> str:
    """The end of a verb's help."""
    return "\b\n" + "\n".join(["Example:", *(f"  {line}" for line in lines)])


def _does(module: ModuleType) -> str:
    """What a verb is for, from the first line of its file, which begins with its name."""
    text = (module.__doc__ or "").strip().partition(": ")[2]
    return text[:1].upper() + text[1:]


def _tastemaker(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the whole traceback of an error. Goes anywhere.")] = False,
) -> None:
    """Makes a language model a recommender: train, judge fairly, recommend, explain.

    `tastemaker demo` does all of it once. Results go to stdout, everything else to stderr. Exit codes: 0 ok,
    1 failed, 2 asked wrongly or bad input, 130 interrupted. TASTEMAKER_CACHE and TASTEMAKER_DATA say where files are.
    """
    if version:
        typer.echo(f"tastemaker {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
    elif processes.count() > 1 and context.invoked_subcommand != "train":
        raise UsageError(f"{context.invoked_subcommand} runs in one process; run the command without a launcher")


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _run(arguments: list[str], *, debug: bool) -> int:
    try:
        command = typer.main.get_command(application())
        code = command.main(arguments, prog_name="tastemaker", standalone_mode=False, obj=arguments)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:  # whoever read our output has enough of it, `| head` for one
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _told(f"error: {_words(error)}", getattr(error, "exit_code", 1))
    return _told("interrupted", code) if code == INTERRUPTED else code if isinstance(code, int) else 0


def _words(error: Exception) -> str:
    """The error in one line."""
    if hasattr(error, "format_message"):  # of the parser of arguments
        return str(error.format_message())
    if hasattr(error, "exit_code"):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'input or output'}: {error.strerror}"
    return f"{type(error).__name__}: {error}; this should not happen, {DEBUG} shows where it did"


def _told(line: str, code: int) -> int:
    text = "".join(c if c.isprintable() else " " for c in line)
    typer.echo(" ".join(text.split()), err=True)
    return code
