"""``/v1/feedback``: what somebody thinks of an item, heeded from the next answer on."""

from __future__ import annotations

from fastapi import APIRouter

from tastemaker.serve.problems import invalid, not_found
from tastemaker.serve.schemas import GiveFeedback
from tastemaker.serve.service import Caller, The

router = APIRouter(tags=["feedback"])


@router.post("/v1/feedback", status_code=204)
async def give(body: GiveFeedback, service: The, caller: Caller) -> None:
    """A like, a dislike, or neither any more; the latest word on an item counts."""

    def work() -> None:
        if body.dialogue_id is not None and service.dialogues.get(caller, body.dialogue_id) is None:
            raise not_found("dialogue")
        if body.item not in service.cards([body.item]):
            raise invalid("item: no item of the catalogue has that id")
        about = f"user:{body.user}" if body.dialogue_id is None else f"dialogue:{body.dialogue_id}"
        service.feedback.add(caller, about, body.item, body.verdict)

    await service.look_up(work)
