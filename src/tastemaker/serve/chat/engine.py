"""A dialogue and a person's words -> a stream of events: text, a list with reasons, and the dialogue as it then is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tastemaker.errors import LanguageModelError, PromptError, UsageError
from tastemaker.llm.base import LanguageModel
from tastemaker.methods._chat_prompt import Scene, bounded
from tastemaker.prompts.clean import clean
from tastemaker.prompts.prompt import Item as Title
from tastemaker.prompts.prompt import Prompt, Quoted, joined
from tastemaker.serve.chat import filters as constraints
from tastemaker.serve.chat import prose, ranking, replies, router, state
from tastemaker.serve.chat.dialogue import Card, Dialogue, Done, Event, Items, Token, Trace, Turn
from tastemaker.serve.chat.ratings import Ratings
from tastemaker.serve.chat.request import Request
from tastemaker.serve.chat.shelf import Shelf
from tastemaker.types import Item, Query, User

LONGEST = 2_000
"""Characters read of what somebody says."""
POOL = 50
"""Candidates behind a list."""
_SHOWN_TO_MODEL, _HISTORY = 20, 50
_SENTENCES, _TOKENS = 2, 80

Cancelled = Callable[[], bool]
Answer = Generator[Event, None, Dialogue]
"""Events, and at the end the dialogue as it then is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the engine uses its language model; as it comes, the retriever's order and our own sentences."""

    n: int = 10
    """Items of a list."""
    lm_weight: float = 0.0
    """Of the model's scores beside the recommender's; chosen on validation, 0 where it does not help."""
    lm_routes: bool = False
    """Whether the model says what is meant where no rule knows; it can only choose among the intents."""
    lm_prose: bool = False
    """Whether it writes a sentence or two, of which those are shown that hold against the catalogue."""


@dataclass(slots=True)
class _Work:
    """What one reply notes on its way."""

    trace: Trace
    degraded: bool = False
    text: list[str] = field(default_factory=list)
    start: float = field(default_factory=time.perf_counter)

    def took(self, what: str) -> None:
        """Note the time since the last note."""
        now = time.perf_counter()
        self.trace.milliseconds[what] = round(1000 * (now - self.start), 3)
        self.start = now

    def say(self, text: str) -> Token:
        """A piece of the reply, kept."""
        self.text.append(text)
        return Token(text=text)


class Engine:
    """Conversations over one recommender and, beside it, further catalogues: ``Engine(Shelf(...)).reply(d, "hi")``.

    Holds nothing of any conversation: everything is in the `Dialogue` that comes and goes. Without a language model,
    or with one that fails, rules and the recommender answer; ``degraded`` then says so.
    """

    def __init__(
        self,
        shelf: Shelf,
        *others: Shelf,
        lm: LanguageModel | None = None,
        ratings: Ratings | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.shelves = {one.name: one for one in (shelf, *others)}
        if len(self.shelves) <= len(others):
            raise UsageError("two catalogues have the same name; name each recommender's dataset differently")
        self.main, self.lm, self.ratings, self.settings = shelf, lm, ratings, settings or Settings()
        self._lock = threading.Lock()  # one conversation at a time asks the language model

    def reply(self, dialogue: Dialogue, text: str, *, cancelled: Cancelled = lambda: False) -> Iterator[Event]:
        """Tokens and at most one list, then `Done`. ``cancelled`` is asked between sentences; a reply then ends soon.

        An empty text asks again for what the dialogue wants, as after a constraint was removed.
        """
        yield from self._now()._replied(dialogue, text, cancelled)

    def _now(self) -> Engine:
        """The same over its catalogues as they are, whatever is added meanwhile."""
        found = copy(self)
        found.shelves = {name: one.now() for name, one in self.shelves.items()}
        found.main = found.shelves[self.main.name]
        return found

    def _replied(self, dialogue: Dialogue, text: str, cancelled: Cancelled) -> Iterator[Event]:
        work, words = _Work(Trace(intent="recommend")), clean(text, LONGEST)
        dialogue = self._known(dialogue)
        request = self._understood(words, dialogue, work) if words else Request(intent="refine")
        work.trace.intent = request.intent
        work.took("understand")
        heard = state.said(dialogue, Turn(role="user", text=words)) if words else dialogue
        answers = {"undo": self._undo, "small-talk": self._talk, "explain": self._explain, "details": self._details}
        answer = answers.get(request.intent, self._list)
        if request.intent in ("explain", "details") and request.target is None:
            answer = self._ask_which
        after = yield from answer(heard, request, work, cancelled)
        yield Done(dialogue=after, degraded=work.degraded, trace=work.trace)

    def cards(self, ids: Sequence[str]) -> list[Card]:
        """The items as they are shown, of whatever catalogue. Raises `UsageError` for an id that none has."""
        return [self._shelf_of(item_id).card(item_id) for item_id in ids]

    def search(self, text: str, n: int) -> list[Card]:
        """Items of the main catalogue by title and by meaning: those whose title begins so come first."""
        main = self.main.now()
        return [main.card(item_id) for item_id in main.find(clean(text, LONGEST), n)]

    def add_items(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """New items of the main catalogue, found and recommended from now on; all or, on `UsageError`, none."""
        self.main.add(rows)

    def stand_in(self, item_id: str) -> str | None:
        """See `Conversation`."""
        return self.main.newcomers.stand_in(item_id) if self.main.catalogue.row(item_id) >= self.main.own else None

    def newcomers(self, history: Sequence[str], n: int) -> list[tuple[Card, int]]:
        """See `Conversation`."""
        main = self.main.now()
        return [(main.card(item_id), place) for item_id, place in main.newcomers.near(history, n)]

    def predict_rating(self, item_id: str, *, user: str | None = None, history: Sequence[str] = ()) -> float:
        """What this user, or somebody with this history, would rate the item. Raises `UsageError`."""
        if self.ratings is None:
            raise UsageError("ratings cannot be predicted: give the engine Ratings fitted on data that has them")
        query = self._query(Dialogue(id="", user_id=user, history=list(history)))
        (item,) = self.main.numbers([item_id]) or (None,)
        return self.ratings.predict(query, item, self.main.recommender)

    # --- answers ---

    def _list(self, dialogue: Dialogue, request: Request, work: _Work, cancelled: Cancelled) -> Answer:
        target = self.shelves[request.domain or dialogue.domain or self.main.name]
        wanted = state.asked(dialogue, request, target.catalogue.schema)
        ids, scores = self._ranked(wanted, target, work, more=request.more)
        cards = [self._card(target, wanted, item_id, score) for item_id, score in zip(ids, scores, strict=True)]
        work.took("reasons")
        yield work.say(replies.listed(cards, wanted, request.notes, more=request.more))
        yield Items(cards=cards, filters=wanted.filters)
        if cards:
            asked = Prompt.of("In one short sentence, say what these have in common: ", self._titles(cards), ".")
            yield from self._written(asked, list(target.rows(ids).values()), work, cancelled)
        after = wanted.model_copy(update={"shown": ids})
        return state.said(after, Turn(role="assistant", text="".join(work.text), items=ids))

    def _undo(self, dialogue: Dialogue, request: Request, work: _Work, cancelled: Cancelled) -> Answer:
        before = state.undone(dialogue)
        if before is None:
            yield work.say(replies.NOTHING_TO_UNDO)
            return state.said(dialogue, Turn(role="assistant", text=replies.NOTHING_TO_UNDO))
        yield work.say(replies.UNDONE)
        if before.shown:
            shelf = self._of(before)
            cards = [self._card(shelf, before, item_id, None) for item_id in before.shown if item_id in shelf.catalogue]
            yield Items(cards=cards, filters=before.filters)
        return state.said(before, Turn(role="assistant", text=replies.UNDONE, items=before.shown))

    def _talk(self, dialogue: Dialogue, request: Request, work: _Work, cancelled: Cancelled) -> Answer:
        last = dialogue.turns[-1].text if dialogue.turns else ""
        asked = Prompt.of("You recommend things. Answer kindly in one sentence. Somebody says: ", Quoted(last))
        yield from self._written(asked, [], work, cancelled)
        if not work.text:
            yield work.say(replies.HELLO)
        return state.said(dialogue, Turn(role="assistant", text="".join(work.text)))

    def _explain(self, dialogue: Dialogue, request: Request, work: _Work, cancelled: Cancelled) -> Answer:
        item_id = request.target or ""
        shelf = self._shelf_of(item_id)
        card, query = self._card(shelf, dialogue, item_id, None), self._query(dialogue)
        yield work.say(card.reason)
        if shelf is self.main and query.history and shelf.numbers([item_id]):
            ids = shelf.catalogue.items["item_id"]
            told = shelf.recommender.explain(item_id, history=[ids[i] for i in query.history])
            work.degraded = work.degraded or told.degraded
            yield work.say(f" {told.sentence}")
            strongest = [one.item_id for one in told.evidence if one.effect > 0][:3]
            card = card.model_copy(update={"evidence": list(dict.fromkeys([*card.evidence, *strongest]))})
        work.took("explain")
        yield Items(cards=[card], filters=dialogue.filters)
        return state.said(dialogue, Turn(role="assistant", text="".join(work.text), items=[item_id]))

    def _details(self, dialogue: Dialogue, request: Request, work: _Work, cancelled: Cancelled) -> Answer:
        item_id = request.target or ""
        shelf = self._shelf_of(item_id)
        card, rating, above = self._card(shelf, dialogue, item_id, None), None, None
        if request.rating and shelf is self.main and (numbers := shelf.numbers([item_id])):
            query = self._query(dialogue)
            above = float(shelf.levels(query)[numbers[0]])
            if self.ratings is not None:
                rating = self.ratings.predict(query, numbers[0], shelf.recommender)
        best = 5.0 if self.ratings is None else self.ratings.highest
        yield work.say(replies.details(card, shelf.reasons.plain(shelf.row(item_id)), rating, best, above))
        yield Items(cards=[card], filters=dialogue.filters)
        return state.said(dialogue, Turn(role="assistant", text="".join(work.text), items=[item_id]))

    def _ask_which(self, dialogue: Dialogue, request: Request, work: _Work, cancelled: Cancelled) -> Answer:
        yield work.say(replies.WHICH)
        return state.said(dialogue, Turn(role="assistant", text=replies.WHICH))

    # --- their parts ---

    def _understood(self, words: str, dialogue: Dialogue, work: _Work) -> Request:
        shelf = self._of(dialogue)
        nouns = {name: one.nouns for name, one in self.shelves.items()}
        schemas = {name: one.catalogue.schema for name, one in self.shelves.items()}
        vocabularies = {name: one.vocabulary for name, one in self.shelves.items()}
        around = router.Surroundings(schemas, vocabularies, lambda i: self._shelf_of(i).row(i), nouns, shelf.name)
        request = router.understand(words, dialogue, around)
        if request.unsure and self.settings.lm_routes and self.lm is not None:
            try:
                with self._lock:
                    chosen = router.choose(self.lm, words)
            except (LanguageModelError, PromptError):
                work.degraded = True
            else:
                request.intent = chosen
                if chosen in ("explain", "details"):
                    request.target = next(iter(dialogue.shown), None)
                    request.intent = chosen if request.target else "recommend"
        return request

    def _ranked(self, wanted: Dialogue, shelf: Shelf, work: _Work, *, more: bool) -> tuple[list[str], list[float]]:
        """The ids of a list and their scores: all of them allowed, whatever else goes wrong."""
        query, own = self._query(wanted, shelf), shelf is self.main
        items = shelf.catalogue.items["item_id"]
        before = [i for turn in wanted.turns for i in turn.items] if more else []
        barred = [*wanted.history, *wanted.likes, *wanted.dislikes, *wanted.anchors, *before]
        barred += [items[i] for i in query.history] if own else []
        allowed = shelf.allowed(wanted.filters, barred)
        anchors = self._rows(wanted.anchors)
        allowed = ranking.sharing(shelf, list(anchors.values()), allowed, self.settings.n)
        if not allowed.any():
            return [], []
        prior = shelf.prior(query, allowed, POOL)
        work.degraded = work.degraded or prior.degraded
        work.took("recommend")
        wish = ranking.relevance(shelf, wanted.wish, anchors, self._elsewhere(wanted, shelf), wanted.filters)
        scores = prior.scores if wish is None else prior.scores + ranking.WISHED * wish
        order = np.argsort(-np.where(allowed, scores, -np.inf), kind="stable")[: min(POOL, int(allowed.sum()))]
        work.took("search")
        ids, values = [items[int(i)] for i in order], scores[order]
        ids, values = self._by_model(wanted, shelf, ids, values, work)
        work.trace.candidates, work.trace.scores = ids, [float(value) for value in values]
        return ids[: self.settings.n], [float(value) for value in values[: self.settings.n]]

    def _by_model(
        self, wanted: Dialogue, shelf: Shelf, ids: list[str], values: Any, work: _Work
    ) -> tuple[list[str], Any]:
        """The first of the candidates in the order that the language model's scores give them with their own."""
        if self.lm is None or self.settings.lm_weight == 0 or len(ids) < 2:
            return ids, values
        top = ids[:_SHOWN_TO_MODEL]
        scene = Scene(
            history=self._parts([*wanted.history, *wanted.likes] or self._history(wanted)),
            candidates=self._parts(top),
            profile=self._profile(wanted),
            said=[(turn.role, turn.text) for turn in wanted.turns[-4:-1]],
            wish=next((turn.text for turn in reversed(wanted.turns) if turn.role == "user"), ""),
            noun=(shelf.nouns or ("item",))[0],
        )
        try:
            with self._lock:
                scores, prompt = ranking.by_model(self.lm, scene, self.settings.lm_weight, values[: len(top)])
        except (LanguageModelError, PromptError):
            work.degraded = True
            return ids, values
        work.trace.prompt = prompt.text(slots="drop")
        work.took("language model")
        order = np.argsort(-scores, kind="stable")
        return [*(top[i] for i in order), *ids[len(top) :]], np.concatenate([scores[order], values[len(top) :]])

    def _written(self, asked: Prompt, rows: list[dict[str, Any]], work: _Work, cancelled: Cancelled) -> Iterator[Event]:
        """Sentences of the language model that hold; none if it may not write, fails, or says what is not so."""
        if self.lm is None or not self.settings.lm_prose or cancelled():
            return
        prompt = bounded(asked, [], Prompt(()), self.lm, answer=_TOKENS)
        work.trace.prompt = work.trace.prompt or prompt.text(slots="drop")
        checker = self.main.reasons.checker
        try:
            pieces = self.lm.stream(prompt, max_new_tokens=_TOKENS, stop="\n")
            for one in prose.sentences(pieces, checker, rows, most=_SENTENCES, cancelled=cancelled):
                yield work.say(f" {one}" if work.text else one)
        except (LanguageModelError, PromptError):
            work.degraded = True
        work.took("prose")

    def _card(self, shelf: Shelf, dialogue: Dialogue, item_id: str, score: float | None) -> Card:
        named = self._rows([*reversed(dialogue.anchors), *reversed(dialogue.likes)])
        known = self._rows(self._history(dialogue)[-_HISTORY:])
        reason, evidence = shelf.reasons.reason(shelf.row(item_id), known, named)
        return shelf.card(item_id).model_copy(update={"score": score, "reason": reason, "evidence": evidence})

    def _query(self, dialogue: Dialogue, shelf: Shelf | None = None) -> Query:
        """The dialogue as a question to the recommender of a shelf: whom it knows, or what somebody has chosen."""
        shelf = shelf or self.main
        own = shelf is self.main
        user = dialogue.user_id if own else None
        known = shelf.recommender.query(user=user) if user is not None else Query(())
        new = shelf.numbers([*(dialogue.history if own else []), *dialogue.likes])
        return Query(tuple(dict.fromkeys((*known.history, *new))), user=known.user)

    def _history(self, dialogue: Dialogue) -> list[str]:
        ids = self.main.catalogue.items["item_id"]
        return [ids[i] for i in self._query(dialogue).history]

    def _elsewhere(self, dialogue: Dialogue, shelf: Shelf) -> Any:
        """The mean vector of what somebody chose or named in other catalogues; None if there is none."""
        named = [i for i in dialogue.anchors if i not in shelf.catalogue]
        named = named or ([] if shelf is self.main else self._history(dialogue)[-_HISTORY:])
        vectors = [self._shelf_of(i).catalogue.vectors([i])[0] for i in named]
        return np.mean(vectors, axis=0) if vectors else None

    def _known(self, dialogue: Dialogue) -> Dialogue:
        """The dialogue, if all it speaks of is there. Raises `UsageError`."""
        if dialogue.domain not in ("", *self.shelves):
            raise UsageError(f"there is no catalogue named {dialogue.domain!r}; there is {', '.join(self.shelves)}")
        constraints.require(dialogue.filters, self._of(dialogue).catalogue.schema)
        if dialogue.user_id is not None:
            self.main.recommender.query(user=dialogue.user_id)
        for item_id in (*dialogue.history, *dialogue.likes, *dialogue.dislikes, *dialogue.anchors, *dialogue.shown):
            self._shelf_of(item_id)
        return dialogue

    def _profile(self, dialogue: Dialogue) -> dict[str, str]:
        user: User | None = self._query(dialogue).user
        known = {} if user is None else ranking.profile_of(self.main.recommender.data.users.row(user, named=True))
        return {**known, **dialogue.profile}

    def _parts(self, ids: Sequence[str]) -> list[Title]:
        rows = [(i, self._shelf_of(i).row(i)) for i in ids]
        return [Title(Item(number), str(row["title"] or item_id)) for number, (item_id, row) in enumerate(rows)]

    def _titles(self, cards: Sequence[Card]) -> Prompt:
        return joined([Title(Item(place), card.title) for place, card in enumerate(cards)], "; ")

    def _rows(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        return {item_id: self._shelf_of(item_id).row(item_id) for item_id in ids}

    def _of(self, dialogue: Dialogue) -> Shelf:
        return self.shelves[dialogue.domain or self.main.name]

    def _shelf_of(self, item_id: str) -> Shelf:
        """The catalogue that has the item, the main one first. Raises `UsageError`."""
        found = next((shelf for shelf in self.shelves.values() if item_id in shelf.catalogue), None)
        if found is None:
            raise UsageError(f"no catalogue has an item with id {item_id!r}")
        return found
