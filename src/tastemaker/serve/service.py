"""What all routes share: the recommender, the conversation, the state, the threads and the limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from tastemaker.errors import UsageError
from tastemaker.serve.chat.dialogue import Card
from tastemaker.serve.chat.newcomers import merged
from tastemaker.serve.conversation import Conversation
from tastemaker.serve.metrics import Metrics
from tastemaker.serve.problems import invalid
from tastemaker.serve.recommendations import Recommendations, Subject, nobody
from tastemaker.serve.settings import Settings
from tastemaker.serve.store import Database, Dialogues, Feedback, Kept, with_verdicts
from tastemaker.serve.workers import Workers

T = TypeVar("T")


@dataclass
class Service:
    """One running service; make it with `build`."""

    recommendations: Recommendations
    conversation: Conversation
    database: Database
    settings: Settings
    replies: Workers
    lookups: Workers
    dialogues: Dialogues
    feedback: Feedback
    metrics: Metrics
    answering: set[str] = field(default_factory=set)
    """Ids of the dialogues that a reply is being made for; looked at on the event loop only."""
    stopping: bool = False

    @classmethod
    def build(
        cls, recommendations: Recommendations, conversation: Conversation, database: Database, settings: Settings
    ) -> Service:
        """With its threads started."""
        replies = Workers("reply", settings.replies, settings.replies_waiting)
        lookups = Workers("lookup", settings.lookups, settings.lookups_waiting)
        return cls(
            recommendations,
            conversation,
            database,
            settings,
            replies,
            lookups,
            Dialogues(database, most=settings.dialogues, days=settings.dialogue_days),
            Feedback(database),
            Metrics((replies, lookups)),
        )

    async def look_up(self, work: Callable[[], T]) -> T:
        """What ``work`` returns, done in a thread when it is its turn. Raises `Problem`."""
        return await self.lookups.run(lambda cancelled: work(), deadline=self.settings.deadline)

    def subject(self, owner: str, user: str | None, history: Iterable[str] | None) -> Subject:
        """Who is asked for, with what they said since. Blocks."""
        if user is None:
            return Subject(history=tuple(history or ()))
        return Subject(user=user, verdicts=self.feedback.of_user(owner, user))

    def recommended(self, subject: Subject, n: int, **options: Any) -> dict[str, Any]:
        """What the recommender says, items added since among it by what their texts say. Raises `Problem`. Blocks."""
        known = self._known(subject)
        found = self.recommendations.recommend(known, n, **options)
        if options.get("candidates") is None:
            liked = [item for item, said in subject.verdicts.items() if said == "like"]
            history = [*(subject.history or self.recommendations.chosen(known)), *liked]
            barred = {item for item, said in subject.verdicts.items() if said == "dislike"}
            near = [
                (card, place) for card, place in self.conversation.newcomers(history, n) if card.item_id not in barred
            ]
            rows = [({"item_id": card.item_id, "title": card.title, "score": None}, place) for card, place in near]
            found["recommendations"] = merged(found["recommendations"], rows, n)
        return found

    def _known(self, subject: Subject) -> Subject:
        """The same to a recommender that does not know items added since: they have stand-ins."""

        def own(item: str) -> str:
            with suppress(UsageError):
                return self.conversation.stand_in(item) or item
            return item

        verdicts = {own(item) if said == "like" else item: said for item, said in subject.verdicts.items()}
        return Subject(subject.user, tuple(map(own, subject.history)), verdicts)

    def opened(self, owner: str, user: str | None, history: Sequence[str] = (), domain: str = "") -> Kept:
        """A dialogue of somebody new to us, or of a user with what they said since. Raises `Problem`. Blocks."""
        known = self.cards(history)
        for place, item in enumerate(history):
            if item not in known:
                raise invalid(f"history.{place}: no item of the catalogue has that id")
        verdicts = {} if user is None else self.feedback.of_user(owner, user)
        if user is not None and not self.recommendations.knows_user(user):
            if not verdicts:
                raise nobody()
            user = None
        kept = self.dialogues.new(owner, user_id=user, history=history, domain=domain)
        return replace(kept, dialogue=with_verdicts(kept.dialogue, verdicts))

    def cards(self, ids: Iterable[str]) -> dict[str, Card]:
        """By id, of those that are known. Blocks."""
        found = {}
        for item in dict.fromkeys(ids):
            with suppress(UsageError):
                (found[item],) = self.conversation.cards([item])
        return found

    def drain(self) -> None:
        """Take nothing new; what is under way goes on."""
        self.stopping = True
        for workers in (self.replies, self.lookups):
            workers.drain()

    def close(self) -> None:
        """End everything."""
        self.stopping = True
        for workers in (self.replies, self.lookups):
            workers.close()
        self.database.close()


async def _service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


async def _caller(request: Request) -> str:
    found: str = request.state.caller
    return found


The = Annotated[Service, Depends(_service)]
"""The service that a route belongs to."""
Caller = Annotated[str, Depends(_caller)]
"""The name of the key that was used: the owner of what is made."""
