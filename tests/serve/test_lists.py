"""Recommendations, scores and explanations over HTTP are those of the recommender, with what was said since."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from served import Serve, Served

from tastemaker import Recommender
from tastemaker.errors import LanguageModelError
from tastemaker.methods.base import Method
from tastemaker.types import FloatArray, Query


def test_recommendations_are_the_recommender_s(served: Served, recommender: Recommender) -> None:
    for body in ({"user": "u0"}, {"history": ["f1", "f2", "f3"]}):
        answer = served.ask("POST", "/v1/recommendations", {**body, "n": 4})
        assert answer.status_code == 200
        given = {"users": ["u0"]} if "user" in body else {"histories": [body["history"]]}
        expected = recommender.recommend(**given, n=4).select("item_id", "title", "rank", "score").to_dicts()
        assert answer.json() == {"recommendations": expected, "degraded": False, "repairs": 0}


def test_candidates_and_seen_items(served: Served) -> None:
    body = {"user": "u0", "candidates": ["f0", "f20", "f21"]}
    found = served.ask("POST", "/v1/recommendations", body).json()["recommendations"]
    assert {row["item_id"] for row in found} == {"f20", "f21"}
    found = served.ask("POST", "/v1/recommendations", {**body, "filter_seen": False}).json()["recommendations"]
    assert {row["item_id"] for row in found} == {"f0", "f20", "f21"}


def test_scores_come_in_the_order_asked(served: Served, recommender: Recommender) -> None:
    items = ["f9", "f20", "f9", "f8"]
    expected = recommender.score([("u0", item) for item in items])["score"].to_list()
    answer = served.ask("POST", "/v1/scores", {"user": "u0", "items": items}).json()
    assert answer == {
        "scores": [{"item_id": i, "score": s} for i, s in zip(items, expected, strict=True)],
        "degraded": False,
    }


def test_explanations_are_the_recommender_s(served: Served, recommender: Recommender) -> None:
    answer = served.ask("POST", "/v1/explanations", {"user": "u0", "item": "f8"}).json()
    expected = recommender.explain("f8", user="u0")
    assert answer["sentence"] == expected.sentence
    assert [one["item_id"] for one in answer["evidence"]] == [one.item_id for one in expected.evidence]
    new = served.ask("POST", "/v1/explanations", {"history": ["f1"], "item": "f8"}).json()
    assert new["sentence"] == recommender.explain("f8", history=["f1"]).sentence


def test_feedback_changes_the_next_answer(served: Served, recommender: Recommender) -> None:
    def ids(key: str = "ann") -> list[str]:
        rows = served.ask("POST", "/v1/recommendations", {"user": "u0", "n": 3}, key=key).json()["recommendations"]
        return [row["item_id"] for row in rows]

    before = ids()
    give = {"user": "u0", "item": before[0], "verdict": "dislike"}
    assert served.ask("POST", "/v1/feedback", give).status_code == 204
    assert before[0] not in ids()
    assert len(ids()) == 3
    assert ids("bob") == before, "what one key's users say is not another's"
    served.ask("POST", "/v1/feedback", {**give, "verdict": "like"})
    liked = [f"f{i}" for i in range(8)] + [before[0]]
    assert ids() == recommender.recommend(histories=[liked], n=3)["item_id"].to_list()
    served.ask("POST", "/v1/feedback", {**give, "verdict": "none"})
    assert ids() == before


def test_somebody_new_is_known_by_their_feedback(served: Served, recommender: Recommender) -> None:
    refused = served.ask("POST", "/v1/recommendations", {"user": "eve"})
    assert refused.status_code == 422
    assert "nobody of that id" in refused.json()["error"]["message"]
    served.ask("POST", "/v1/feedback", {"user": "eve", "item": "f4", "verdict": "like"})
    found = served.ask("POST", "/v1/recommendations", {"user": "eve", "n": 3}).json()["recommendations"]
    expected = recommender.recommend(histories=[["f4"]], n=3)["item_id"].to_list()
    assert [row["item_id"] for row in found] == expected


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("recommendations", {"history": ["f1", "zz-secret"]}, "history.1: no item"),
        ("recommendations", {"user": "u1", "candidates": ["zz-secret"]}, "candidates: no item"),
        ("scores", {"user": "u1", "items": ["f1", "zz-secret"]}, "items.1: no item"),
        ("explanations", {"user": "u1", "item": "zz-secret"}, "item: no item"),
        ("feedback", {"user": "u1", "item": "zz-secret", "verdict": "like"}, "item: no item"),
    ],
)
def test_what_is_not_there_is_told_without_repeating_it(served: Served, path: str, body: object, told: str) -> None:
    answer = served.ask("POST", f"/v1/{path}", body)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith(told)
    assert "zz-secret" not in answer.text


def test_a_language_model_that_fails_degrades_the_answer(
    serve: Serve, recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve()

    class Broken:
        catalogue = recommender.data
        rank, concurrent = Method.rank, False

        def score(self, queries: object, **_: object) -> object:
            raise LanguageModelError("it is not there")

    monkeypatch.setattr(recommender, "ranker", Broken())
    found = served.ask("POST", "/v1/recommendations", {"user": "u0", "n": 3}).json()
    assert found["degraded"]
    assert len(found["recommendations"]) == 3
    assert served.ask("POST", "/v1/scores", {"user": "u0", "items": ["f9"]}).json()["degraded"]
    assert served.ask("POST", "/v1/explanations", {"user": "u0", "item": "f9"}).json()["degraded"]
    metrics = served.ask("GET", "/metrics").text
    for what in ("recommendations", "scores", "explanations"):
        assert f'tastemaker_degraded_total{{what="{what}"}} 1.0' in metrics


def test_a_server_that_stalls_binds_no_more_threads_than_it_may(
    serve: Serve, recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, begun, gate = serve(lookups=2), threading.Event(), threading.Event()

    class Stalling:
        catalogue = recommender.data
        rank, concurrent = Method.rank, True

        def score(self, queries: Sequence[Query], **_: object) -> list[FloatArray]:
            begun.set()
            assert gate.wait(10)
            return [np.arange(len(query.candidates), dtype=np.float32) for query in queries]

    monkeypatch.setattr(recommender, "ranker", Stalling())
    asked = (
        ("/v1/recommendations", {"user": "u0", "n": 3}),
        ("/v1/scores", {"user": "u0", "items": ["f9"]}),
        ("/v1/explanations", {"user": "u0", "item": "f9"}),
    )

    async def crowd() -> Any:
        first = asyncio.create_task(served.asked("POST", *asked[0]))
        await asyncio.to_thread(begun.wait, 10)
        for path, body in 3 * asked:
            found = await served.asked("POST", path, body)
            assert (found.status_code, found.json()["degraded"]) == (200, True)
        assert not first.done()
        gate.set()
        return await first

    assert not asyncio.run(crowd()).json()["degraded"]
    assert not served.ask("POST", *asked[0]).json()["degraded"], "its place is free again"


def test_items_are_looked_up_searched_and_added(served: Served) -> None:
    assert served.ask("GET", "/v1/items/f3").json()["title"] == "Film 3 (1993)"
    assert served.ask("GET", "/v1/items/nothing").status_code == 404
    found = served.ask("GET", "/v1/items", params={"q": "film 2", "n": 3}).json()["items"]
    assert [card["item_id"] for card in found] == ["f2", "f20", "f21"]
    new = {"item_id": "new/1", "title": "Brand New", "attributes": {"year": 2020, "genres": ["Drama"]}}
    answer = served.ask("POST", "/v1/items", {"items": [new]})
    assert (answer.status_code, answer.json()) == (201, {"added": 1})
    assert served.ask("GET", "/v1/items/new/1").json()["title"] == "Brand New"
    assert served.ask("POST", "/v1/items", {"items": [new]}).status_code == 422
