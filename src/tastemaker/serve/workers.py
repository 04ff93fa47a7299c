"""Work that blocks -> answers on the event loop: so many at work, so many waiting, every other refused at once."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Generic, TypeVar

from tastemaker.errors import LanguageModelError
from tastemaker.serve.conversation import Cancelled
from tastemaker.serve.problems import Problem

T = TypeVar("T")
Work = Callable[[Cancelled], Iterator[T]]
MOST = 4_096
"""Pieces of one answer; more is a model that does not stop."""


class Answer(Generic[T]):
    """What one piece of work yields, as it comes; None says that it is still at it.

    Whoever asked must `stop` it in the end, whatever happened: then the work ends at its next look at ``cancelled``,
    and at once if it has not begun. Its place is free again when the thread is.
    """

    def __init__(self, workers: Workers, work: Work[T], *, idle: float, total: float, ping: float) -> None:
        self._workers, self._work = workers, work
        self._idle, self._end, self._ping = idle, time.monotonic() + total, ping
        self._stopped = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[tuple[T] | BaseException | None] = asyncio.Queue()

    def stop(self) -> None:
        """Nobody waits for it any more."""
        self._stopped.set()
        self._workers.withdraw(self)

    def run(self) -> BaseException | None:
        """Do the work, in the thread that calls; what ended it, None if it came to its own end."""
        pieces: Iterator[T] = iter(())
        try:
            pieces = self._work(self._stopped.is_set)
            for count in itertools.count():
                if self._stopped.is_set() or (piece := next(pieces, self)) is self:
                    break
                if count == MOST:
                    raise LanguageModelError("the answer did not come to an end")
                self._put((piece,))  # type: ignore[arg-type]
        except BaseException as error:
            return error
        else:
            return None
        finally:
            if close := getattr(pieces, "close", None):
                close()

    def end(self, how: BaseException | None) -> None:
        """Tell whoever asked that nothing more comes, and why."""
        self._put(how)

    def refuse(self, problem: Problem) -> None:
        """End it with that."""
        self._stopped.set()
        self.end(problem)

    async def __aiter__(self) -> AsyncIterator[T | None]:
        last = time.monotonic()
        while True:
            now = time.monotonic()
            until = min(last + self._idle, self._end)
            if now >= until:
                raise Problem(504, "deadline", "there was no answer in time; try again")
            try:
                async with asyncio.timeout(min(self._ping, until - now)):  # `wait_for` of 3.11 can lose a cancellation
                    piece = await self._pieces.get()
            except TimeoutError:
                if time.monotonic() < until:
                    yield None
                continue
            if piece is None:
                return
            if isinstance(piece, BaseException):
                raise piece
            last = time.monotonic()
            yield piece[0]

    def _put(self, piece: tuple[T] | BaseException | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)
        except RuntimeError:  # the loop is gone, and with it whoever asked
            self._stopped.set()


class Workers:
    """``running`` threads and a line of ``waiting``. The threads do not keep a process that leaves."""

    def __init__(self, name: str, running: int, waiting: int) -> None:
        self.name, self.running, self.waiting = name, running, waiting
        self._change = threading.Condition()
        self._line: deque[Answer[object]] = deque()
        self._busy: set[Answer[object]] = set()
        self._draining = self._closing = False
        self._threads = [threading.Thread(target=self._serve, name=f"{name}-{i}", daemon=True) for i in range(running)]
        for thread in self._threads:
            thread.start()

    @property
    def load(self) -> tuple[int, int]:
        """How many are at work, and how many wait."""
        with self._change:
            return len(self._busy), len(self._line)

    def submit(self, work: Work[T], *, idle: float, total: float | None = None, ping: float = 15.0) -> Answer[T]:
        """The answer to come. Raises `Problem` 503 at once if there is no room."""
        answer = Answer(self, work, idle=idle, total=idle if total is None else total, ping=ping)
        with self._change:
            self.require_room()
            self._line.append(answer)  # type: ignore[arg-type]
            self._change.notify()
        return answer

    def require_room(self) -> None:
        """Raise the `Problem` 503 that `submit` would raise now, so that nothing is prepared for work it refuses."""
        with self._change:
            if self._draining:
                raise stopping()
            if len(self._busy) + len(self._line) >= self.running + self.waiting:
                raise Problem(503, "overloaded", "too many requests are being answered; try again", retry_after=1)

    async def run(self, work: Callable[[Cancelled], T], *, deadline: float) -> T:
        """What ``work`` returns. Raises `Problem` 503 without room and 504 after ``deadline`` seconds."""
        answer = self.submit(lambda cancelled: iter([(work(cancelled),)]), idle=deadline)
        try:
            ((result,),) = [piece async for piece in answer if piece is not None]
            return result
        finally:
            answer.stop()

    def withdraw(self, answer: Answer[T]) -> None:
        """Free its place in the line, if it still stands there."""
        with self._change:
            if answer in self._line:
                self._line.remove(answer)  # type: ignore[arg-type]

    def drain(self) -> None:
        """Take nothing more; what is at work or waits goes on."""
        with self._change:
            self._draining = True

    def close(self) -> None:
        """End what is at work or waits, tell whoever asked, and let the threads go."""
        with self._change:
            self._draining = self._closing = True
            for answer in (*self._line, *self._busy):
                answer.refuse(stopping())
            self._line.clear()
            self._change.notify_all()

    def _serve(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._line or self._closing)
                if self._closing:
                    return
                answer = self._line.popleft()
                self._busy.add(answer)
            how = answer.run()
            with self._change:
                self._busy.discard(answer)
            answer.end(how)  # the place is free before anybody knows, so that who asks again at once is not refused


def stopping() -> Problem:
    """The service leaves."""
    return Problem(503, "stopping", "the service is about to stop; try again soon", retry_after=5)
