"""``/healthz``, ``/readyz`` and ``/metrics``: for whoever runs the service."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from tastemaker.serve.service import The
from tastemaker.serve.workers import stopping

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def ready(service: The) -> dict[str, str]:
    """Whether requests can be answered: the database is there, and the service is not about to stop."""
    if service.stopping:
        raise stopping()
    service.database.ping()
    return {"status": "ready"}


@router.get("/metrics")
async def metrics(service: The) -> Response:
    """Figures, for Prometheus."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)
