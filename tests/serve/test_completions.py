"""OpenAI's protocol: its own client talks to the service, and a conversation is found again by its messages."""

from __future__ import annotations

from typing import Any

import pytest
from live import Live
from served import Served, events

from tastemaker.errors import LanguageModelError
from tastemaker.serve.chat.dialogue import Card, Items, Token
from tastemaker.serve.threads import as_text, thread_after, thread_of

LINES = "\n1. Film 0 (1990)\n2. Film 1 (1991)\n3. Film 2 (1992)"


def complete(served: Served, *messages: tuple[str, str], key: str | None = None, **more: Any) -> Any:
    body = {"model": "tastemaker", "messages": [{"role": r, "content": t} for r, t in messages], **more}
    return served.ask("POST", "/v1/chat/completions", body, key=key)


def test_the_openai_client_is_understood(live: Live) -> None:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.key, max_retries=0, timeout=10) as client:
        assert [model.id for model in client.models.list()] == ["tastemaker"]
        asked: list[Any] = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "a film?"}]
        whole = client.chat.completions.create(model="tastemaker", messages=asked, temperature=0.3, max_tokens=50)
        assert whole.choices[0].message.content == "Here you are." + LINES
        assert whole.choices[0].finish_reason == "stop"
        assert whole.usage is not None
        assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
        options: Any = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = list(client.chat.completions.create(model="tastemaker", messages=asked, **options))
        told = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert told == whole.choices[0].message.content
        assert (chunks[-1].usage, chunks[-2].choices[0].finish_reason) == (whole.usage, "stop")
        with pytest.raises(openai.NotFoundError, match="no such model"):
            client.chat.completions.create(model="gpt-4", messages=asked)
    stranger = openai.OpenAI(base_url=f"{live.url}/v1", api_key="x" * 30, max_retries=0)
    with stranger, pytest.raises(openai.AuthenticationError):
        stranger.models.list()


def test_a_conversation_is_found_again_by_its_messages(served: Served) -> None:
    first = complete(served, ("user", "one")).json()["choices"][0]["message"]["content"]
    dialogue = served.ask("GET", "/v1/dialogues").json()["dialogues"][0]["id"]
    served.ask("POST", "/v1/feedback", {"dialogue_id": dialogue, "item": "f0", "verdict": "dislike"})
    messages = [("system", "be kind"), ("user", " one"), ("assistant", first + "\n"), ("user", "two")]
    second = complete(served, *messages).json()["choices"][0]["message"]["content"]
    assert "Film 0 " not in second, "the dialogue that knows the dislike went on"
    third = [*messages, ("assistant", second), ("user", "three")]
    assert complete(served, *third).status_code == 200
    assert len(served.ask("GET", "/v1/dialogues").json()["dialogues"]) == 1
    assert [turn.text for turn in served.talker.dialogues[-1].turns if turn.role == "user"] == ["one", "two"]
    complete(served, *messages, key="bob")
    assert served.talker.dialogues[-1].dislikes == [], "another's dialogue is not found"


def test_messages_of_another_conversation_are_its_beginning(served: Served) -> None:
    complete(served, ("user", "hello"), ("assistant", "I said that elsewhere"), ("user", "go on"), user="u2")
    asked = served.talker.dialogues[-1]
    assert [turn.text for turn in asked.turns] == ["hello", "I said that elsewhere"]
    assert asked.user_id == "u2"
    complete(served, ("user", "hello"), user="nobody-we-know")
    assert served.talker.dialogues[-1].user_id is None


def test_parts_of_text_are_read(served: Served) -> None:
    parts = [{"type": "text", "text": "a film"}, {"type": "text", "text": "please"}]
    body = {"model": "tastemaker", "messages": [{"role": "user", "content": parts}], "tools": [], "seed": 1}
    assert served.ask("POST", "/v1/chat/completions", body).status_code == 200
    dialogue = served.ask("GET", "/v1/dialogues").json()["dialogues"][0]
    assert dialogue["title"] == "a film please"


def test_wrong_messages_are_refused(served: Served) -> None:
    for messages in ([("assistant", "hi")], [("system", "x")], [("user", " ")], [("user", "x" * 2_001)]):
        assert complete(served, *messages).status_code == 422
    assert complete(served, ("user", "x"), n=2).status_code == 422
    assert complete(served, ("tool", "x")).status_code == 422


def test_a_stream_that_fails_says_so_and_ends(served: Served) -> None:
    served.talker.fails = RuntimeError("secret")
    told = events(complete(served, ("user", "x"), stream=True).text)
    assert [one[1] for one in told][-1] == "[DONE]"
    assert told[-2][1]["error"]["type"] == "internal"
    served.talker.fails = LanguageModelError("gone")
    assert "did not answer" in complete(served, ("user", "x")).json()["choices"][0]["message"]["content"]


def test_threads_are_told_apart_and_blanks_are_not() -> None:
    card = Card(item_id="a", title="A\nfilm", reason="It is short.")
    told = [Token(text="Well: "), Items(cards=[card], filters=[])]
    text = "".join(map(as_text, told))
    assert text == "Well: \n1. A film: It is short."
    after = thread_after(thread_of([("user", "x"), ("assistant", "y")]), "z", told)
    assert after == thread_of([("user", "x"), ("assistant", " y"), ("user", "z\n"), ("assistant", text)])
    assert after != thread_of([("user", "x"), ("assistant", "yz"), ("user", ""), ("assistant", text)])
    assert thread_of([("user", "a"), ("user", "b")]) != thread_of([("user", "a"), ("assistant", "b")])


def test_two_users_who_begin_alike_are_two(served: Served) -> None:
    told = complete(served, ("user", "hi"), user="u1").json()["choices"][0]["message"]["content"]
    complete(served, ("user", "hi"), user="u2")
    served.ask("POST", "/v1/chat", {"message": "hi", "user": "u3", "stream": False})
    for user in ("u1", "u2", None):
        more = {"user": user} if user else {}
        complete(served, ("user", "hi"), ("assistant", told), ("user", "more"), **more)
    assert [dialogue.user_id for dialogue in served.talker.dialogues[-3:]] == ["u1", "u2", None]


def test_what_a_user_is_known_to_dislike_counts_wherever_they_speak(served: Served) -> None:
    def say(message: str, **more: Any) -> Any:
        return served.ask("POST", "/v1/chat", {"message": message, "stream": False, **more}).json()

    begun = say("one", user="u1")["dialogue_id"]
    served.ask("POST", "/v1/feedback", {"user": "u1", "item": "f0", "verdict": "dislike"})
    say("two", dialogue_id=begun)
    assert complete(served, ("user", "a film"), user="u1").status_code == 200
    assert [dialogue.dislikes for dialogue in served.talker.dialogues[-2:]] == [["f0"], ["f0"]]
    served.ask("POST", "/v1/feedback", {"user": "u1", "item": "f0", "verdict": "none"})
    say("three", dialogue_id=begun)
    assert served.talker.dialogues[-1].dislikes == []
    served.ask("POST", "/v1/feedback", {"user": "who else", "item": "f1", "verdict": "dislike"})
    assert complete(served, ("user", "a film"), user="who else").status_code == 200
    assert (served.talker.dialogues[-1].user_id, served.talker.dialogues[-1].dislikes) == (None, ["f1"])
    assert complete(served, ("user", "a film"), user="nul\0").status_code == 422


def answered(served: Served, *messages: tuple[str, str], **more: Any) -> str:
    answer = complete(served, *messages, **more)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


def dialogues(served: Served) -> list[str]:
    return [one["id"] for one in served.ask("GET", "/v1/dialogues").json()["dialogues"]]


def test_an_answer_that_is_asked_for_again_takes_the_place_of_the_first(served: Served) -> None:
    begun = [("user", "one"), ("assistant", answered(served, ("user", "one")))]
    (dialogue,) = dialogues(served)
    served.ask("POST", "/v1/feedback", {"dialogue_id": dialogue, "item": "f0", "verdict": "dislike"})
    answered(served, *begun, ("user", "two"))
    served.talker.words = ["Again: "]
    for _ in range(2):
        again = answered(served, *begun, ("user", " two"))
        asked = served.talker.dialogues[-1]
        assert (asked.id, [turn.text for turn in asked.turns]) == (dialogue, ["one", "Here you are."])
        assert asked.dislikes == ["f0"]
    assert dialogues(served) == [dialogue]
    answered(served, *begun, ("user", "two"), ("assistant", again), ("user", "three"))
    assert len(served.talker.dialogues[-1].turns) == 4
    assert dialogues(served) == [dialogue]


def test_what_another_may_have_said_is_never_taken_from_them(served: Served) -> None:
    first = answered(served, ("user", "one"))
    begun = [("user", "one"), ("assistant", first)]
    second = answered(served, *begun, ("user", "two"))
    (mine,) = dialogues(served)
    served.ask("POST", "/v1/feedback", {"dialogue_id": mine, "item": "f0", "verdict": "dislike"})
    served.talker.words = ["Again: "]
    for more in ({"user": "u1"}, {"key": "bob"}):
        answered(served, *begun, ("user", "two"), **more)
        assert (served.talker.dialogues[-1].id == mine, served.talker.dialogues[-1].dislikes) == (False, [])
    answered(served, *begun, ("user", "something else"))
    answered(served, ("user", "one"))
    assert mine not in [dialogue.id for dialogue in served.talker.dialogues[-2:]]
    answered(served, *begun, ("user", "two"), ("assistant", second), ("user", "three"))
    asked = served.talker.dialogues[-1]
    assert (asked.id, asked.dislikes) == (mine, ["f0"])


def test_of_two_who_said_the_same_neither_loses_what_they_said(served: Served) -> None:
    begun = [("user", "one"), ("assistant", "")]
    for _ in range(2):
        begun[1] = ("assistant", answered(served, ("user", "one")))
    for _ in range(2):
        second = answered(served, *begun, ("user", "two"))
    both = dialogues(served)
    served.talker.words = ["Again: "]
    answered(served, *begun, ("user", "two"))
    assert served.talker.dialogues[-1].id not in both
    assert [turn.text for turn in served.talker.dialogues[-1].turns] == ["one", "Here you are."]
    for _ in range(2):
        answered(served, *begun, ("user", "two"), ("assistant", second), ("user", "three"))
    assert {dialogue.id for dialogue in served.talker.dialogues[-2:]} == {*both}
