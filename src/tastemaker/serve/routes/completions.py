"""``/v1/chat/completions`` and ``/v1/models``: the same conversation for any client that speaks OpenAI's protocol."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from tastemaker.serve.chat.dialogue import Done, Event, Turn
from tastemaker.serve.problems import Problem, invalid
from tastemaker.serve.schemas import AskCompletion
from tastemaker.serve.service import Caller, Service, The
from tastemaker.serve.store import Kept
from tastemaker.serve.streams import EventStream, sent, whole
from tastemaker.serve.talk import Reply
from tastemaker.serve.threads import as_text, begun_by, thread_of

router = APIRouter(tags=["chat"])
MODEL = "tastemaker"
_LONGEST = 2_000
_END = b"data: [DONE]\n\n"


@router.get("/v1/models")
async def models() -> dict[str, Any]:
    """The one model there is."""
    return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": MODEL}]}


@router.post("/v1/chat/completions", response_model=None)
async def complete(body: AskCompletion, request: Request, service: The, caller: Caller) -> Response:
    """The reply to the last message, the list as numbered lines below it; chunks if ``stream`` is true.

    What the conversation knew after the messages before is found again by those messages themselves, also if the last
    one was answered already: the new answer then takes the place of that one. ``system`` messages are not
    heeded, ``user`` may name somebody the recommender knows; tokens are counted as words.
    """
    if body.model != MODEL:
        raise Problem(404, "not_found", f"no such model; there is {MODEL}")
    spoken = [message for message in body.messages if message.role in ("user", "assistant")]
    text = spoken[-1].text.strip() if spoken and spoken[-1].role == "user" else ""
    if not 0 < len(text) <= _LONGEST or "\x00" in text:
        raise invalid(f"messages: the last one must be of the user, and of 1 to {_LONGEST} characters")
    before = [(message.role, message.text) for message in spoken[:-1]]
    service.replies.require_room()
    kept = await run_in_threadpool(_dialogue, service, caller, before, text, body.user)
    reply = Reply(service, kept, text)
    about = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": MODEL}
    asked = sum(len(message.text.split()) for message in body.messages)
    if not body.stream:
        return JSONResponse(_completion(about, await whole(reply), asked))
    options = body.stream_options
    chunks = _Chunks(about, asked, usage=options is not None and options.include_usage)
    return EventStream(reply, chunks.write, ends=_END, request_id=request.state.request_id)


def _dialogue(service: Service, caller: str, before: Sequence[tuple[str, str]], text: str, user: str | None) -> Kept:
    """The dialogue that these messages are, also one that has answered ``text`` already, or a new one."""
    thread = thread_of(before, begun_by(user))
    asked = thread_of([("user", text)], thread)
    kept = None
    if before:  # many begin alike
        kept = service.dialogues.of_thread(caller, thread) or service.dialogues.asked_again(caller, asked)
    if kept is not None:
        return replace(kept, thread=thread, asked=asked)
    known = user is not None and (
        service.recommendations.knows_user(user) or bool(service.feedback.of_user(caller, user))
    )
    new = service.opened(caller, user if known else None)
    turns = [Turn.model_validate({"role": role, "text": text}) for role, text in before]
    return replace(new, dialogue=new.dialogue.model_copy(update={"turns": turns}), thread=thread, asked=asked)


def _completion(about: dict[str, Any], events: Sequence[Event], asked: int) -> dict[str, Any]:
    text = "".join(map(as_text, events))
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return {**about, "object": "chat.completion", "choices": [choice], "usage": _usage(asked, len(text.split()))}


class _Chunks:
    """Writes events as chunks of a completion."""

    def __init__(self, about: dict[str, Any], asked: int, *, usage: bool) -> None:
        self._about = {**about, "object": "chat.completion.chunk"}
        self._asked, self._usage = asked, usage
        self._words, self._first = 0, True

    def write(self, event: Event) -> list[bytes]:
        """The chunks for one event."""
        if isinstance(event, Done):
            return [self._chunk({}, "stop"), *self._last()]
        text = as_text(event)
        self._words += len(text.split())
        role = {"role": "assistant"} if self._first else {}
        self._first = False
        return [self._chunk({**role, "content": text}, None)]

    def _chunk(self, delta: dict[str, str], finish: str | None) -> bytes:
        return sent({**self._about, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def _last(self) -> list[bytes]:
        if not self._usage:
            return []
        return [sent({**self._about, "choices": [], "usage": _usage(self._asked, self._words)})]


def _usage(asked: int, answered: int) -> dict[str, int]:
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}
