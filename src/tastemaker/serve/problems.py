"""Whatever goes wrong -> one shape of JSON, ``{"error": {"type", "message", "request_id"}}``, that repeats no input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from tastemaker.errors import LanguageModelError, TastemakerError, UsageError

_LONGEST = 300
_SHOWN = 3
"""How many wrong fields one message names."""
_BY_STATUS = {401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class Problem(Exception):
    """An answer that is an error. ``retry_after`` is in seconds."""

    def __init__(self, status: int, type: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.type, self.message, self.retry_after = status, type, message, retry_after

    def body(self, request_id: str) -> dict[str, Any]:
        """What is sent, as JSON or within a stream."""
        return {"error": {"type": self.type, "message": self.message, "request_id": request_id}}

    def response(self, request_id: str) -> JSONResponse:
        """The same as a whole answer."""
        wait = None if self.retry_after is None else {"Retry-After": str(max(1, math.ceil(self.retry_after)))}
        return JSONResponse(self.body(request_id), self.status, wait)


def not_found(what: str) -> Problem:
    """Nothing there, or nothing that is yours: the answer is the same."""
    return Problem(404, "not_found", f"no such {what}")


def invalid(message: str) -> Problem:
    """The body says something that cannot be done; ``message`` begins with the field."""
    return Problem(422, "invalid_request", message)


def problem_of(error: BaseException) -> Problem:
    """How an exception is answered; whatever nobody expected is told without its words."""
    match error:
        case Problem():
            return error
        case LanguageModelError():
            return Problem(503, "language_model", _line(error), retry_after=10)
        case UsageError():
            return Problem(422, "invalid_request", _line(error))
        case TastemakerError():
            return Problem(400, "failed", _line(error))
        case SQLAlchemyError():
            return Problem(503, "database", "the database does not answer; try again", retry_after=5)
        case HTTPException():
            return Problem(error.status_code, _BY_STATUS.get(error.status_code, "invalid_request"), str(error.detail))
        case _:
            return Problem(500, "internal", "something failed on our side; the log has it under this request's id")


def install(app: FastAPI, fields: frozenset[str]) -> None:
    """Answer every expected exception so; ``fields`` are the words of the schemas that a message may name."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, RequestValidationError):
            error = invalid("; ".join(_told(detail, fields) for detail in error.errors()[:_SHOWN]))
        return problem_of(error).response(request.state.request_id)

    for kind in (Problem, TastemakerError, SQLAlchemyError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer)


def _told(detail: Mapping[str, Any], fields: frozenset[str]) -> str:
    """The field and the reason; a field that the client made up is input, and is not repeated."""
    place = [part for part in detail["loc"] if isinstance(part, int) or part in fields]
    where = ".".join(str(part) for part in place) or "body"
    reasons: dict[str, Callable[[], str]] = {
        "json_invalid": lambda: f"not JSON, at character {detail['loc'][-1]}",
        "extra_forbidden": lambda: "has a field that is not known",
        "union_tag_invalid": lambda: "is of no known type",
    }
    reason = reasons.get(detail["type"], lambda: str(detail["msg"]).removeprefix("Value error, "))()
    return f"{where}: {reason[:1].lower()}{reason[1:]}"


def _line(error: Exception) -> str:
    text = "".join(character if character.isprintable() else " " for character in str(error))
    return " ".join(text.split())[:_LONGEST]
