"""tastemaker serve: recommendations and conversations over HTTP, for programs and for people."""

from __future__ import annotations

import os
import signal
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from tastemaker.cli._options import Directory, Settings
from tastemaker.cli._output import say, show_line
from tastemaker.cli._speaking import Speaker, Url, conversation

EXAMPLE = "tastemaker serve runs/demo --open"
LOOPBACK = "127.0.0.1"


def serve(
    directory: Directory,
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", help="Others than this machine need keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="N", help="0: any that is free.")] = 8000,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", metavar="FILE", help="NAME KEY on each line; else TASTEMAKER_API_KEY.")
    ] = None,
    db: Annotated[
        str | None, typer.Option("--db", metavar="FILE|URL", help="State: a SQLite file, or postgresql://...")
    ] = None,
    llm: Speaker = None,
    url: Url = None,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    settings: Settings = None,
) -> None:
    """Serve a recommender until interrupted: an API below /v1, OpenAI's chat protocol among it, and a page.

    Settings (-o) are limits such as deadline, rate, replies; a wrong one is told with those that there are.
    """
    from tastemaker.config import build, parse_overrides
    from tastemaker.errors import UsageError
    from tastemaker.recommend import Recommender

    try:
        from tastemaker.serve import opening
        from tastemaker.serve.app import build_app
        from tastemaker.serve.keys import Keys, require_safe
        from tastemaker.serve.recommendations import Recommendations
        from tastemaker.serve.run import run
        from tastemaker.serve.service import Service
        from tastemaker.serve.settings import Settings as Limits
        from tastemaker.serve.store import open_database
    except ImportError as error:
        raise UsageError(f"serving needs {error.name}; install tastemaker[serve]") from error

    keys = Keys.read(key_file, os.environ)
    require_safe(host, keys)
    limits = build(Limits, parse_overrides(settings or []))
    recommender = Recommender.from_pretrained(directory)
    folder = opening.state_folder(directory)
    database = open_database(db or folder / "state.sqlite3")
    talk = conversation(recommender, folder, llm, url)
    service = Service.build(Recommendations(recommender, at_once=limits.rankings), talk, database, limits)

    def ready(address: str) -> None:
        show_line(f"serving {recommender.data.name} at {address}")
        say("stop with Ctrl-C")
        if browser:
            webbrowser.open(address)

    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the server ends what is under way, then passes the signal on
    run(build_app(service, keys), host, port, ready=ready)
