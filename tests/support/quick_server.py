"""A process that serves the films: ``quick_server.py FOLDER DATABASE GRACE``; its replies wait for a line on stdin."""

from __future__ import annotations

import sys
import threading

from talker import Talker

from tastemaker import Recommender
from tastemaker.serve.app import build_app
from tastemaker.serve.keys import Keys
from tastemaker.serve.recommendations import Recommendations
from tastemaker.serve.run import run
from tastemaker.serve.service import Service
from tastemaker.serve.settings import Settings
from tastemaker.serve.store import open_database


def main(folder: str, database: str, grace: str) -> None:
    """Serve until a signal; a line on stdin lets the replies end."""
    recommender = Recommender.from_pretrained(folder)
    talker = Talker(recommender.data)
    talker.gate = threading.Event()
    settings = Settings(grace=int(grace), replies=4)
    service = Service.build(Recommendations(recommender), talker, open_database(database), settings)

    def ready(address: str) -> None:
        sys.stdout.write(address + "\n")
        sys.stdout.flush()
        threading.Thread(target=lambda: (sys.stdin.readline(), talker.gate.set()), daemon=True).start()

    run(build_app(service, Keys()), "127.0.0.1", 0, ready=ready)


if __name__ == "__main__":
    main(*sys.argv[1:])
