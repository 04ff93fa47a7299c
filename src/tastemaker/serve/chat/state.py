"""A dialogue and a request -> the dialogue as the request leaves it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tastemaker.serve.chat.dialogue import Dialogue, Filter, Turn, Wants
from tastemaker.serve.chat.request import Request
from tastemaker.serve.chat.schema import Schema

UNDOS = 20
"""How many steps back there are."""
_BOUNDS = ("at-least", "at-most")


def asked(dialogue: Dialogue, request: Request, schema: Schema) -> Dialogue:
    """The wants after a request for a list; what they were before can be undone."""
    past = [*dialogue.past, _wants(dialogue)][-UNDOS:]
    fresh = request.fresh or request.domain is not None
    update = {
        "past": past,
        "domain": dialogue.domain if request.domain is None else request.domain,
        "filters": merged([] if fresh else dialogue.filters, request, schema),
        "likes": _joined([] if request.reset else dialogue.likes, request.likes, without=request.dislikes),
        "dislikes": _joined([] if request.reset else dialogue.dislikes, request.dislikes, without=request.likes),
        "history": _joined(dialogue.history, request.seen),
        "anchors": request.anchors or ([] if fresh else dialogue.anchors),
        "wish": request.wish if fresh or (request.wish and not request.adds) else _wish(dialogue.wish, request.wish),
    }
    return dialogue.model_copy(update=update)


def undone(dialogue: Dialogue) -> Dialogue | None:
    """The wants before the latest request; None if there was none."""
    if not dialogue.past:
        return None
    before = dialogue.past[-1]
    update = {name: getattr(before, name) for name in Wants.model_fields}
    return dialogue.model_copy(update={**update, "past": dialogue.past[:-1]})


def said(dialogue: Dialogue, *turns: Turn) -> Dialogue:
    """The dialogue with what was said; all of it, since limits are counted on it."""
    return dialogue.model_copy(update={"turns": [*dialogue.turns, *turns]})


def merged(earlier: Sequence[Filter], request: Request, schema: Schema) -> list[Filter]:
    """Earlier constraints and the new ones, which win where both cannot be meant."""
    kept = list(earlier)
    for new in request.filters:
        kept = [
            old for old in kept if old in request.filters or not _gives_way(old, new, adds=request.adds, schema=schema)
        ]
    return list({one.model_dump_json(): one for one in (*kept, *request.filters)}.values())


def _gives_way(old: Filter, new: Filter, *, adds: bool, schema: Schema) -> bool:
    if old.field != new.field:
        return False
    if schema.kinds.get(old.field) == "number":
        return old.op != "is-not" and new.op != "is-not"
    if old.op == new.op:
        return old.op == "is" and not adds
    return old.value == new.value


def _wants(dialogue: Dialogue) -> Wants:
    return Wants(**{name: getattr(dialogue, name) for name in Wants.model_fields})


def _wish(earlier: str, new: str) -> str:
    return " ".join(filter(None, (earlier, new)))


def _joined(earlier: Iterable[str], new: Iterable[str], *, without: Iterable[str] = ()) -> list[str]:
    barred = {*without}
    return [one for one in dict.fromkeys((*earlier, *new)) if one not in barred]
