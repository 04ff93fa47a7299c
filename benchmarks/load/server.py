"""``python -m benchmarks.load.server JOB``: a service over made-up films until a signal; its address is on stdout."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from benchmarks.load import shop
from tastemaker.llm.fake import FakeLM
from tastemaker.prompts.prompt import Prompt
from tastemaker.serve.app import build_app
from tastemaker.serve.chat import engine
from tastemaker.serve.chat.catalogue import Catalogue
from tastemaker.serve.chat.shelf import Shelf
from tastemaker.serve.recommendations import Recommendations
from tastemaker.serve.run import run
from tastemaker.serve.service import Service
from tastemaker.serve.settings import Settings
from tastemaker.serve.store import open_database
from tastemaker.testing.tiny_encoder import tiny_encoder


class Job(BaseModel):
    """What to serve."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    users: int = 200
    items: int = 300
    thinks: float = 0.03
    """Seconds that the scripted language model takes for a reply."""
    remote: str = ""
    """Where the ranker's language model is; without it there is no ranker."""
    patience: float = 20.0
    """Seconds that the ranker waits for a word of it."""
    settings: Settings = Settings(rate=1e9, burst=1e9)


def main(text: str) -> None:
    """Serve until a signal."""
    job = Job.model_validate_json(text)
    torch.set_num_threads(1)
    recommender = shop.recommender(shop.films(job.users, job.items), job.remote, job.patience)

    def reply(prompt: Prompt) -> str:
        time.sleep(job.thinks)
        return "These are for you. They are good films."

    with tempfile.TemporaryDirectory(prefix="load-") as place:
        folder = Path(place)
        shelf = Shelf(recommender, Catalogue.open(folder / "catalogue", recommender.data.items, tiny_encoder()))
        talk = engine.Engine(shelf, lm=FakeLM(reply), settings=engine.Settings(lm_prose=True))
        database = open_database(folder / "state.sqlite3")
        recommendations = Recommendations(recommender, at_once=job.settings.rankings)
        service = Service.build(recommendations, talk, database, job.settings)
        run(build_app(service), "127.0.0.1", 0, ready=lambda address: print(json.dumps(address), flush=True))


if __name__ == "__main__":
    main(sys.argv[1])
