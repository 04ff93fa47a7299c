"""``/`` and ``/static/``: the page for people; ``/v1/about`` and ``/v1/users``: what its first screen offers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, runtime_checkable

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.responses import Response

from tastemaker.serve.service import Service, The

if TYPE_CHECKING:
    from tastemaker.serve.chat.shelf import Shelf

STATIC = Path(__file__).with_name("static")
_LATEST = 3
"""Titles by which somebody is recognised."""
router = APIRouter(tags=["page"])


class Files(StaticFiles):
    """The page's files. Browsers ask each time whether one has changed, so that all are of one version."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        """The file, or that it has not changed."""
        response = super().file_response(*args, **options)
        response.headers["cache-control"] = "no-cache"
        return response


@runtime_checkable
class Shelved(Protocol):
    """A conversation that tells which catalogues it is over."""

    @property
    def main(self) -> Shelf:
        """The recommender's own."""

    @property
    def shelves(self) -> Mapping[str, Shelf]:
        """All, by name."""


class About(BaseModel):
    """What ``/v1/about`` answers."""

    name: str
    domains: list[str]
    """Names of the catalogues one can ask for, the recommender's own first."""
    ideas: list[str]
    """What somebody might say first."""


class Somebody(BaseModel):
    """A user, with the titles of what they chose last."""

    user_id: str
    latest: list[str]


class UsersAnswer(BaseModel):
    """What ``/v1/users`` answers."""

    users: list[Somebody]


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page."""
    return FileResponse(STATIC / "index.html")


@router.get("/v1/about")
async def about(service: The) -> About:
    """What is served."""
    talk = service.conversation
    if not isinstance(talk, Shelved):
        return About(name=service.recommendations.name, domains=[service.recommendations.name], ideas=[])
    main = talk.main
    return About(name=main.name, domains=list(talk.shelves), ideas=await service.look_up(lambda: _ideas(main)))


@router.get("/v1/users")
async def users(
    service: The,
    q: Annotated[str, Query(max_length=200)] = "",
    n: Annotated[int, Query(ge=1, le=50)] = 8,
) -> UsersAnswer:
    """Users the recommender knows whose ids begin with ``q``, shortest ids first."""
    return UsersAnswer(users=await service.look_up(lambda: _users(service, q, n)))


def _users(service: Service, q: str, n: int) -> list[Somebody]:
    talk = service.conversation
    if not isinstance(talk, Shelved):
        return [Somebody(user_id=q, latest=[])] if service.recommendations.knows_user(q) else []
    recommender = talk.main.recommender
    known: list[str] = recommender.data.users["user_id"].to_list()
    found = sorted((one for one in known if one.startswith(q)), key=lambda one: (len(one), one))[:n]
    titles = recommender.data.titles
    latest = {one: recommender.query(user=one).history[-_LATEST:] for one in found}
    return [Somebody(user_id=one, latest=[titles[i] for i in reversed(latest[one])]) for one in found]


def _ideas(shelf: Shelf) -> list[str]:
    """Wishes that the catalogue can fulfil: its commonest kinds, and a decade it has much of."""
    items, kinds = shelf.catalogue.items, shelf.catalogue.schema.kinds
    many = next((name for name, kind in kinds.items() if kind == "many"), None)
    if many is None:
        return ["Surprise me"]
    counted = items[many].explode().drop_nulls().value_counts().sort(["count", many], descending=[True, False])
    common = counted[many].head(3).to_list()
    year = shelf.catalogue.schema.year
    middle = items[year].drop_nulls().median() if year else None
    when = f" from the {int(middle) // 10 * 10}s" if isinstance(middle, int | float) else ""
    told = [f"{common[0]}{when}", *(f"{one}, but not {other}" for one, other in zip(common[1:], common, strict=False))]
    return [*told, "Surprise me"]
