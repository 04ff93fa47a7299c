"""``/v1/recommendations``, ``/v1/scores`` and ``/v1/explanations``: what the recommender says of somebody."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from tastemaker.serve.schemas import AskExplanation, AskRecommendations, AskScores, RecommendationsAnswer, ScoresAnswer
from tastemaker.serve.service import Caller, The

router = APIRouter(tags=["recommendations"])


@router.post("/v1/recommendations")
async def recommend(body: AskRecommendations, service: The, caller: Caller) -> RecommendationsAnswer:
    """The best items, best first: all in the catalogue, none twice, none seen before, none disliked."""

    def work() -> dict[str, Any]:
        subject = service.subject(caller, body.user, body.history)
        return service.recommended(subject, body.n, candidates=body.candidates, filter_seen=body.filter_seen)

    found = RecommendationsAnswer(**await service.look_up(work))
    service.metrics.repairs.inc(found.repairs)
    _count_degraded(service, "recommendations", found.degraded)
    return found


@router.post("/v1/scores")
async def score(body: AskScores, service: The, caller: Caller) -> ScoresAnswer:
    """The score of each item, as candidates side by side, so that they compare."""

    def work() -> dict[str, Any]:
        return service.recommendations.score(service.subject(caller, body.user, body.history), body.items)

    found = ScoresAnswer(**await service.look_up(work))
    _count_degraded(service, "scores", found.degraded)
    return found


@router.post("/v1/explanations")
async def explain(body: AskExplanation, service: The, caller: Caller) -> dict[str, Any]:
    """Which items of the history speak for an item, what they share with it, and a sentence that says so."""

    def work() -> dict[str, Any]:
        return service.recommendations.explain(service.subject(caller, body.user, body.history), body.item)

    found = await service.look_up(work)
    _count_degraded(service, "explanations", found["degraded"])
    return found


def _count_degraded(service: The, what: str, degraded: bool) -> None:
    if degraded:
        service.metrics.degraded.labels(what).inc()
