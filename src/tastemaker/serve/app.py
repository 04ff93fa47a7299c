"""A service -> its ASGI app: the routes, inside the layers that guard them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from tastemaker.serve import page, problems
from tastemaker.serve.connection import Connection
from tastemaker.serve.envelope import Envelope
from tastemaker.serve.guard import Guard
from tastemaker.serve.keys import Keys
from tastemaker.serve.routes import chat, completions, dialogues, feedback, health, items, lists
from tastemaker.serve.schemas import field_names
from tastemaker.serve.service import Service


def build_app(service: Service, keys: Keys | None = None) -> FastAPI:
    """The app; when it shuts down it closes the service. Without ``keys`` it answers to this machine alone."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="tastemaker",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        openapi_url="/openapi.json" if service.settings.openapi else None,
        lifespan=lifespan,
    )
    app.state.service = service
    problems.install(app, field_names())
    for part in (lists, chat, completions, items, feedback, dialogues, health, page):
        app.include_router(part.router)
    app.mount("/static", page.Files(directory=page.STATIC))
    # The last one added is the outermost.
    app.add_middleware(Connection, settings=service.settings)
    app.add_middleware(Guard, keys=keys or Keys(), settings=service.settings)
    app.add_middleware(Envelope, metrics=service.metrics)
    return app
