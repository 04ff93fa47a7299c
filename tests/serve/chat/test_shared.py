"""The API and the conversation ask one language model: never two of them at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cinema
import numpy as np
import pytest

from tastemaker import Recommender
from tastemaker.methods.base import Method
from tastemaker.serve.chat.dialogue import Dialogue
from tastemaker.serve.chat.engine import Engine
from tastemaker.serve.chat.shelf import Shelf
from tastemaker.serve.recommendations import Recommendations, Subject
from tastemaker.types import FloatArray, Progress, Query, quiet


class Alone(Method):
    """Scores slowly, and notes how many it was made to score for at once."""

    def __init__(self) -> None:
        self.catalogue, self.inside, self.most, self.calls = cinema.cinema(), 0, 0, 0
        self._counting = threading.Lock()

    def tune(self, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    def score(self, queries: Sequence[Query], *, progress: Progress = quiet) -> list[FloatArray]:
        with self._counting:
            self.inside += 1
            self.calls += 1
            self.most = max(self.most, self.inside)
        time.sleep(0.02)
        with self._counting:
            self.inside -= 1
        return [np.arange(len(query.candidates), dtype=np.float32) for query in queries]

    def save(self, path: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, path: Path) -> Any:
        raise NotImplementedError


@pytest.fixture
def ranker() -> Alone:
    return Alone()


@pytest.fixture
def recommender(ranker: Alone) -> Recommender:
    return Recommender(cinema.recommender("cinema").retriever, ranker, cinema.cinema())


def test_a_ranker_answers_one_caller_at_a_time(engine: Engine, recommender: Recommender, ranker: Alone) -> None:
    talk = Engine(Shelf(recommender, engine.main.catalogue))
    api, who = Recommendations(recommender), Subject("u3")
    shown = Dialogue(id="d", user_id="u3", shown=["f5"])
    asked = [
        lambda: api.recommend(who, 5),
        lambda: api.score(who, ["f1", "f2"]),
        lambda: api.explain(who, "f1"),
        lambda: recommender.score([("u3", "f1")]),
        lambda: recommender.score_queries([recommender.query(user="u3")]),
        lambda: list(talk.reply(Dialogue(id="d", user_id="u3"), "a crime film")),
        lambda: list(talk.reply(shown, "why the first one?")),
    ]
    started = threading.Barrier(2 * len(asked))

    def work(one: Any) -> None:
        started.wait(timeout=30)
        one()

    with ThreadPoolExecutor(2 * len(asked)) as threads:
        for done in [threads.submit(work, one) for one in 2 * asked]:
            done.result(timeout=30)
    assert ranker.calls >= 2 * len(asked)
    assert ranker.most == 1
