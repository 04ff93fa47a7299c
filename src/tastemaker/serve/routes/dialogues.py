"""``/v1/dialogues``: see, change and delete one's own; those of others are not there."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from tastemaker.serve.problems import Problem, not_found
from tastemaker.serve.schemas import ChangeDialogue, DialogueAnswer
from tastemaker.serve.service import Caller, Service, The
from tastemaker.serve.store import Kept, Listed

router = APIRouter(tags=["dialogues"])


@router.get("/v1/dialogues")
def show_all(service: The, caller: Caller, n: Annotated[int, Query(ge=1, le=1_000)] = 100) -> dict[str, list[Listed]]:
    """One's own, latest used first."""
    return {"dialogues": service.dialogues.list(caller, n)}


@router.get("/v1/dialogues/{dialogue_id}")
async def show(dialogue_id: str, service: The, caller: Caller) -> DialogueAnswer:
    """One dialogue, with a card for each of its items."""
    return await service.look_up(lambda: _answer(service, _own(service, caller, dialogue_id)))


@router.patch("/v1/dialogues/{dialogue_id}")
async def change(dialogue_id: str, body: ChangeDialogue, service: The, caller: Caller) -> DialogueAnswer:
    """Other filters, from the next answer on: those sent stay, the rest is dropped."""

    def work() -> DialogueAnswer:
        kept = _own(service, caller, dialogue_id)
        known = [one for one in body.filters if one in kept.dialogue.filters]
        changed = kept.dialogue.model_copy(update={"filters": known})
        if not service.dialogues.save(kept, changed, kept.thread):
            raise Problem(409, "conflict", "this dialogue was changed meanwhile; look again")
        return _answer(service, Kept(caller, changed))

    if dialogue_id in service.answering:
        raise Problem(409, "conflict", "this dialogue is being answered; wait, or stop that answer", retry_after=1)
    return await service.look_up(work)


@router.delete("/v1/dialogues/{dialogue_id}", status_code=204)
def delete(dialogue_id: str, service: The, caller: Caller) -> None:
    """Forget one, with the feedback given in it."""
    if not service.dialogues.delete(caller, dialogue_id):
        raise not_found("dialogue")


@router.delete("/v1/dialogues")
def delete_all(service: The, caller: Caller) -> dict[str, int]:
    """Forget all of one's own."""
    return {"deleted": service.dialogues.delete(caller)}


def _own(service: Service, caller: str, dialogue_id: str) -> Kept:
    kept = service.dialogues.get(caller, dialogue_id)
    if kept is None:
        raise not_found("dialogue")
    return kept


def _answer(service: Service, kept: Kept) -> DialogueAnswer:
    said = kept.dialogue
    ids = [*said.history, *said.likes, *said.dislikes, *said.shown]
    return DialogueAnswer(
        dialogue=said, cards=service.cards([*ids, *(item for turn in said.turns for item in turn.items)])
    )
