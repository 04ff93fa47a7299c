"""A message within a dialogue -> events as they come, the dialogue saved before the last of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import assert_never

from tastemaker.errors import LanguageModelError
from tastemaker.serve.chat.dialogue import Dialogue, Done, Event, Items, Token, Trace, Turn
from tastemaker.serve.conversation import Cancelled
from tastemaker.serve.problems import Problem, invalid
from tastemaker.serve.recommendations import Subject
from tastemaker.serve.service import Service
from tastemaker.serve.store import Kept
from tastemaker.serve.threads import thread_after

_STAND_IN = 5
_SORRY = (
    "The language model did not answer. These are general recommendations; your wishes and filters are not in them."
)


class Reply:
    """One reply under way; `stop` it in the end, whatever happened."""

    def __init__(self, service: Service, kept: Kept, text: str) -> None:
        """Raises `Problem`: the dialogue is full or being answered, or there is no room."""
        self._service, self._id = service, kept.dialogue.id
        _require_room(kept.dialogue, text, turns=service.settings.turns, characters=service.settings.characters)
        if self._id in service.answering:
            raise Problem(409, "conflict", "this dialogue is being answered; wait, or stop that answer", retry_after=1)
        limits = service.settings
        self._answer = service.replies.submit(
            lambda cancelled: replied(service, kept, text, cancelled),
            idle=limits.deadline,
            total=limits.stream_deadline,
            ping=limits.ping,
        )
        service.answering.add(self._id)

    async def __aiter__(self) -> AsyncIterator[Event | None]:
        async for event in self._answer:
            match event:
                case None | Items():
                    pass
                case Token():
                    self._service.metrics.tokens.inc()
                case Done():
                    if event.degraded:
                        self._service.metrics.degraded.labels("reply").inc()
                case _:
                    assert_never(event)
            yield event

    def stop(self) -> None:
        """Nobody waits for it any more, or it is complete."""
        self._answer.stop()
        self._service.answering.discard(self._id)


def replied(service: Service, kept: Kept, text: str, cancelled: Cancelled) -> Iterator[Event]:
    """The events, the list and words of the retriever in place of a language model that failed. Blocks."""
    told, done = list[Event](), None
    try:
        for event in service.conversation.reply(kept.dialogue.model_copy(deep=True), text, cancelled=cancelled):
            if isinstance(event, Done):
                done = event
                break
            told.append(event)
            yield event
        if cancelled():  # what nobody waited for is not remembered
            return
        if done is None:
            raise LanguageModelError("the reply has no end")
    except LanguageModelError:
        pieces, done = _stand_in(service, kept.dialogue, text, told)
        told += pieces
        yield from pieces
    done = done.model_copy(update={"dialogue": done.dialogue.model_copy(update={"id": kept.dialogue.id})})
    if not service.dialogues.save(kept, done.dialogue, thread_after(kept.thread, text, told)):
        raise Problem(409, "conflict", "this dialogue was changed or deleted meanwhile; ask again")
    yield done


def _stand_in(service: Service, dialogue: Dialogue, text: str, told: Sequence[Event]) -> tuple[list[Event], Done]:
    """What the retriever says where a language model should have gone on."""
    shown = [card.item_id for event in told if isinstance(event, Items) for card in event.cards]
    pieces: list[Event] = [Token(text=_SORRY if not told else f"\n{_SORRY}")]
    if not shown:
        rows = service.recommendations.recommend(_subject(service, dialogue), _STAND_IN)["recommendations"]
        shown = [row["item_id"] for row in rows]
        pieces.append(Items(cards=service.conversation.cards(shown), filters=[]))
    turns = [Turn(role="user", text=text), Turn(role="assistant", text=_SORRY, items=shown)]
    after = dialogue.model_copy(update={"turns": [*dialogue.turns, *turns], "shown": shown})
    return pieces, Done(dialogue=after, degraded=True, trace=Trace(intent="recommend", candidates=shown))


def _subject(service: Service, dialogue: Dialogue) -> Subject:
    """Whoever speaks in a dialogue, as the recommender knows them."""
    verdicts = dict.fromkeys(dialogue.likes, "like") | dict.fromkeys(dialogue.dislikes, "dislike")
    if dialogue.user_id is not None and service.recommendations.knows_user(dialogue.user_id):
        return Subject(dialogue.user_id, verdicts=verdicts)
    return Subject(
        history=[item for item in dialogue.history if service.recommendations.knows(item)], verdicts=verdicts
    )


def _require_room(dialogue: Dialogue, text: str, *, turns: int, characters: int) -> None:
    said = sum(turn.role == "user" for turn in dialogue.turns)
    length = len(text) + sum(len(turn.text) for turn in dialogue.turns)
    if said >= turns or length > characters:
        raise invalid(f"message: a dialogue has at most {turns} messages and {characters} characters; begin a new one")
