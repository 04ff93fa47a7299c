"""``/v1/items``: look one up, search while somebody types, add new ones."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from tastemaker.serve.chat.dialogue import Card
from tastemaker.serve.problems import not_found
from tastemaker.serve.schemas import AddItems, CardsAnswer
from tastemaker.serve.service import The

router = APIRouter(tags=["items"])


@router.get("/v1/items")
async def search(
    service: The,
    q: Annotated[str, Query(min_length=1, max_length=200)],
    n: Annotated[int, Query(ge=1, le=50)] = 10,
) -> CardsAnswer:
    """Items whose titles go with ``q``, best first."""
    return CardsAnswer(items=await service.look_up(lambda: service.conversation.search(q, n)))


@router.get("/v1/items/{item_id:path}")
async def get(service: The, item_id: str) -> Card:
    """The item of that id."""
    found = await service.look_up(lambda: service.cards([item_id]))
    if item_id not in found:
        raise not_found("item")
    return found[item_id]


@router.post("/v1/items", status_code=201)
async def add(service: The, body: AddItems) -> dict[str, int]:
    """New items, which conversations can find and recommend at once."""
    rows = [{"item_id": item.item_id, "title": item.title, **item.attributes} for item in body.items]
    await service.look_up(lambda: service.conversation.add_items(rows))
    return {"added": len(rows)}
