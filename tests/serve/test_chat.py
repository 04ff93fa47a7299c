"""A conversation over HTTP: events in order, remembered for its owner alone, degraded but never broken."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from served import Serve, Served, events

from tastemaker.errors import LanguageModelError, UsageError
from tastemaker.serve.chat.dialogue import Filter


def say(served: Served, message: str, *, key: str | None = None, **more: Any) -> dict[str, Any]:
    answer = served.ask("POST", "/v1/chat", {"message": message, "stream": False, **more}, key=key)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_reply_is_streamed_as_events(served: Served) -> None:
    answer = served.ask("POST", "/v1/chat", {"message": "a film?"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    names, data = zip(*events(answer.text), strict=True)
    assert names == ("token", "token", "token", "items", "done")
    assert "".join(one["text"] for one in data[:3]) == "Here you are."
    assert [card["item_id"] for card in data[3]["cards"]] == ["f0", "f1", "f2"]
    assert [turn["text"] for turn in data[4]["dialogue"]["turns"]] == ["a film?", "Here you are."]
    assert "trace" not in data[4]
    answer = served.ask("POST", "/v1/chat", {"message": "a film?", "debug": True})
    assert events(answer.text)[-1][1]["trace"]["prompt"] == "asked: a film?"


def test_a_reply_may_come_whole(served: Served) -> None:
    found = say(served, "a film?", debug=True)
    assert found["reply"] == "Here you are."
    assert [card["title"] for card in found["items"]][:2] == ["Film 0 (1990)", "Film 1 (1991)"]
    assert (found["degraded"], found["trace"]["intent"]) == (False, "recommend")
    assert say(served, "a film?")["trace"] is None


def test_who_speaks_is_told_to_the_conversation(served: Served) -> None:
    say(served, "hello", user="u3")
    say(served, "hello", history=["f1", "f2"], domain="books")
    first, second = served.talker.dialogues
    assert (first.user_id, second.history, second.domain) == ("u3", ["f1", "f2"], "books")
    feedback = {"item": "f7", "verdict": "dislike"}
    for user in ("u3", "eve"):
        served.ask("POST", "/v1/feedback", {"user": user, **feedback})
        say(served, "hello", user=user)
    known, new = served.talker.dialogues[-2:]
    assert (known.user_id, known.dislikes, new.user_id, new.dislikes) == ("u3", ["f7"], None, ["f7"])
    for body in ({"user": "zz-secret"}, {"history": ["f1", "zz-secret"]}):
        refused = served.ask("POST", "/v1/chat", {"message": "hello", **body})
        assert (refused.status_code, "zz-secret" in refused.text) == (422, False)


def test_a_dialogue_goes_on(served: Served) -> None:
    first = say(served, "one")
    say(served, "two", dialogue_id=first["dialogue_id"])
    assert [turn.text for turn in served.talker.dialogues[-1].turns] == ["one", "Here you are."]
    listed = served.ask("GET", "/v1/dialogues").json()["dialogues"]
    assert [(one["id"], one["title"]) for one in listed] == [(first["dialogue_id"], "one")]
    shown = served.ask("GET", f"/v1/dialogues/{first['dialogue_id']}").json()
    assert len(shown["dialogue"]["turns"]) == 4
    assert shown["cards"].keys() == {"f0", "f1", "f2"}
    assert served.ask("DELETE", f"/v1/dialogues/{first['dialogue_id']}").status_code == 204
    assert served.ask("GET", f"/v1/dialogues/{first['dialogue_id']}").status_code == 404
    assert served.ask("POST", "/v1/chat", {"message": "x", "dialogue_id": first["dialogue_id"]}).status_code == 404


def test_a_dislike_changes_the_next_answer(served: Served) -> None:
    dialogue = say(served, "one")["dialogue_id"]
    feedback = {"dialogue_id": dialogue, "item": "f0", "verdict": "dislike"}
    assert served.ask("POST", "/v1/feedback", feedback).status_code == 204
    served.ask("POST", "/v1/feedback", {**feedback, "item": "f1", "verdict": "like"})
    shown = served.ask("GET", f"/v1/dialogues/{dialogue}").json()["dialogue"]
    assert (shown["likes"], shown["dislikes"]) == (["f1"], ["f0"])
    found = say(served, "more", dialogue_id=dialogue)
    assert [card["item_id"] for card in found["items"]] == ["f2", "f3", "f4"]
    served.ask("POST", "/v1/feedback", {**feedback, "verdict": "none"})
    found = say(served, "more", dialogue_id=dialogue)
    assert [card["item_id"] for card in found["items"]] == ["f0", "f2", "f3"]


def test_feedback_during_a_reply_is_not_lost(served: Served) -> None:
    """The reply began without it and saves its own state; the next one must have it."""
    dialogue = say(served, "one")["dialogue_id"]
    served.talker.gate = gate = threading.Event()

    async def both() -> Any:
        reply = asyncio.create_task(served.asked("POST", "/v1/chat", {"message": "two", "dialogue_id": dialogue}))
        while len(served.talker.dialogues) < 2:
            await asyncio.sleep(0.001)
        body = {"dialogue_id": dialogue, "item": "f0", "verdict": "dislike"}
        assert (await served.asked("POST", "/v1/feedback", body)).status_code == 204
        busy = await served.asked("POST", "/v1/chat", {"message": "three", "dialogue_id": dialogue})
        change = await served.asked("PATCH", f"/v1/dialogues/{dialogue}", {"filters": []})
        gate.set()
        return busy, change, await reply

    busy, change, reply = asyncio.run(both())
    assert (busy.status_code, change.status_code) == (409, 409)
    assert events(reply.text)[-1][1]["dialogue"]["dislikes"] == []
    assert served.ask("GET", f"/v1/dialogues/{dialogue}").json()["dialogue"]["dislikes"] == ["f0"]
    say(served, "four", dialogue_id=dialogue)
    assert served.talker.dialogues[-1].dislikes == ["f0"]


def test_filters_can_be_dropped_but_not_made(served: Served) -> None:
    dialogue = say(served, "one")["dialogue_id"]
    kept = served.service.dialogues.get("ann", dialogue)
    assert kept is not None
    old, short = (Filter(field="year", op="at-most", value=1999), Filter(field="genres", op="is", value="Drama"))
    changed = kept.dialogue.model_copy(update={"filters": [old, short]})
    assert served.service.dialogues.save(kept, changed, kept.thread)
    forged = {"field": "year", "op": "is", "value": "'; DROP TABLE"}
    answer = served.ask("PATCH", f"/v1/dialogues/{dialogue}", {"filters": [short.model_dump(), forged]})
    assert answer.json()["dialogue"]["filters"] == [short.model_dump()]
    say(served, "two", dialogue_id=dialogue)
    assert served.talker.dialogues[-1].filters == [short]
    assert say(served, "", dialogue_id=dialogue)["items"], "nothing said: the same again, under the filters left"
    assert served.ask("POST", "/v1/chat", {"message": " "}).status_code == 422


@pytest.mark.parametrize("words", [("Here ",), ("", "Here ")])
def test_a_model_that_fails_is_stood_in_for(served: Served, words: tuple[str, ...]) -> None:
    served.talker.words, served.talker.fails = words, LanguageModelError("secret address of the model")
    answer = served.ask("POST", "/v1/chat", {"message": "a film?", "user": "u0"})
    names, data = zip(*events(answer.text), strict=True)
    assert names[-2:] == ("items", "done")
    assert data[-1]["degraded"]
    assert len(data[-2]["cards"]) == 5
    assert not {card["item_id"] for card in data[-2]["cards"]} & {f"f{i}" for i in range(8)}, "what u0 has seen"
    assert "secret" not in answer.text
    served.talker.fails = None
    say(served, "again", dialogue_id=data[-1]["dialogue"]["id"])
    assert len(served.talker.dialogues[-1].turns) == 2
    assert 'tastemaker_degraded_total{what="reply"} 1.0' in served.ask("GET", "/metrics").text


def test_other_failures_are_told_in_a_line(served: Served) -> None:
    served.talker.fails = UsageError("the catalogue has no column 'colour'")
    answer = served.ask("POST", "/v1/chat", {"message": "a film?"})
    name, told = events(answer.text)[-1]
    assert (name, told["error"]["type"]) == ("error", "invalid_request")
    assert told["error"]["message"] == "the catalogue has no column 'colour'"
    assert told["error"]["request_id"] == answer.headers["x-request-id"]
    assert served.ask("POST", "/v1/chat", {"message": "a film?", "stream": False}).status_code == 422
    served.talker.fails = ValueError("secret words")
    answer = served.ask("POST", "/v1/chat", {"message": "a film?"})
    assert events(answer.text)[-1][1]["error"]["type"] == "internal"
    whole = served.ask("POST", "/v1/chat", {"message": "a film?", "stream": False})
    assert (whole.status_code, whole.json()["error"]["type"]) == (500, "internal")
    assert "secret" not in answer.text + whole.text
    served.talker.fails = None
    assert say(served, "works again")["reply"]


def test_a_dialogue_has_an_end(serve: Serve) -> None:
    served = serve(turns=2, characters=2_000)
    dialogue = say(served, "one")["dialogue_id"]
    say(served, "two", dialogue_id=dialogue)
    full = served.ask("POST", "/v1/chat", {"message": "three", "dialogue_id": dialogue})
    assert (full.status_code, "begin a new one" in full.text) == (422, True)
    dialogue = say(served, "one")["dialogue_id"]
    assert served.ask("POST", "/v1/chat", {"message": "x" * 1_990, "dialogue_id": dialogue}).status_code == 422


def test_dialogues_are_their_owner_s_alone(served: Served) -> None:
    dialogue = say(served, "the canary sings", key="ann")["dialogue_id"]
    assert len(dialogue) == 32
    tries = [
        ("GET", f"/v1/dialogues/{dialogue}", None),
        ("PATCH", f"/v1/dialogues/{dialogue}", {"filters": []}),
        ("DELETE", f"/v1/dialogues/{dialogue}", None),
        ("POST", "/v1/chat", {"message": "go on", "dialogue_id": dialogue}),
        ("POST", "/v1/feedback", {"dialogue_id": dialogue, "item": "f1", "verdict": "like"}),
    ]
    for method, path, body in tries:
        answer = served.ask(method, path, body, key="bob")
        assert answer.status_code == 404, path
        missing = served.ask(
            method,
            path.replace(dialogue, "0" * 32),
            body and {**body, **({"dialogue_id": "0" * 32} if "dialogue_id" in body else {})},
            key="bob",
        )
        assert missing.json()["error"]["message"] == answer.json()["error"]["message"]
    assert served.ask("GET", "/v1/dialogues", key="bob").json() == {"dialogues": []}
    assert served.ask("DELETE", "/v1/dialogues", key="bob").json() == {"deleted": 0}
    assert len(served.ask("GET", "/v1/dialogues", key="ann").json()["dialogues"]) == 1
    assert served.ask("DELETE", "/v1/dialogues", key="ann").json() == {"deleted": 1}
