"""A service on a small saved recommender, in this process; real sockets only where a test asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from films import films_split
from live import Live, living
from served import KEYS, Serve, Served
from talker import Talker

from tastemaker import Recommender, collab
from tastemaker.serve.app import build_app
from tastemaker.serve.keys import Keys
from tastemaker.serve.recommendations import Recommendations
from tastemaker.serve.service import Service
from tastemaker.serve.settings import Settings
from tastemaker.serve.store import open_database


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recommender without a language model, as `save_pretrained` leaves it."""
    split = films_split()
    path = tmp_path_factory.mktemp("saved") / "films"
    Recommender(collab.models.get("cooccurrence")().fit(split), None, split).save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def recommender(saved: Path) -> Recommender:
    return Recommender.from_pretrained(saved)


@pytest.fixture
def serve(recommender: Recommender, tmp_path: Path) -> Iterator[Serve]:
    """Makes services; they end with the test."""
    made: list[Service] = []

    def make(*, keyed: bool = True, db: str | Path | None = None, **settings: Any) -> Served:
        talker = Talker(recommender.data)
        settings = {"rate": 1e6, "burst": 1e6, **settings}
        database = open_database(db or tmp_path / f"state{len(made)}.sqlite3")
        service = Service.build(Recommendations(recommender), talker, database, Settings(**settings))
        made.append(service)
        path = tmp_path / "keys"
        path.write_text("".join(f"{name} {key}\n" for name, key in KEYS.items()))
        keys = Keys.read(path, {}) if keyed else Keys()
        return Served(service, talker, build_app(service, keys), KEYS if keyed else {})

    yield make
    for service in made:
        service.close()


@pytest.fixture
def served(serve: Serve) -> Served:
    """One with keys, and without a rate that tests would run into."""
    return serve()


@pytest.fixture
def live(served: Served) -> Iterator[Live]:
    """The service on a real socket."""
    with living(served) as found:
        yield found
