"""``/v1/chat``: one message within a dialogue; the reply as events, or whole."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from tastemaker.serve.chat.dialogue import Done, Event, Items, Token
from tastemaker.serve.problems import not_found
from tastemaker.serve.schemas import ChatAnswer, Say
from tastemaker.serve.service import Caller, Service, The
from tastemaker.serve.store import Kept
from tastemaker.serve.streams import EventStream, sent, whole
from tastemaker.serve.talk import Reply

router = APIRouter(tags=["chat"])


@router.post("/v1/chat", response_model=ChatAnswer)
async def chat(body: Say, request: Request, service: The, caller: Caller) -> ChatAnswer | Response:
    """Events ``token``, ``items``, ``done`` or ``error``, each with its JSON; one object if ``stream`` is false."""
    service.replies.require_room()
    kept = await run_in_threadpool(_dialogue, service, caller, body)
    reply = Reply(service, kept, body.message)
    if not body.stream:
        return _answer(await whole(reply), debug=body.debug)
    hidden = None if body.debug else {"trace"}

    def write(event: Event) -> list[bytes]:
        return [sent(event.model_dump(mode="json", exclude=hidden), event.type)]

    return EventStream(reply, write, ends=b"", request_id=request.state.request_id)


def _dialogue(service: Service, caller: str, body: Say) -> Kept:
    if body.dialogue_id is None:
        return service.opened(caller, body.user, body.history or (), body.domain)
    kept = service.dialogues.get(caller, body.dialogue_id)
    if kept is None:
        raise not_found("dialogue")
    return kept


def _answer(events: Sequence[Event], *, debug: bool) -> ChatAnswer:
    *told, done = events
    items = next((event for event in told if isinstance(event, Items)), Items(cards=[], filters=[]))
    if not isinstance(done, Done):
        raise TypeError(f"a reply ends with Done, not with {type(done).__name__}")
    return ChatAnswer(
        dialogue_id=done.dialogue.id,
        reply="".join(event.text for event in told if isinstance(event, Token)),
        items=items.cards,
        filters=items.filters,
        degraded=done.degraded,
        trace=done.trace if debug else None,
    )
