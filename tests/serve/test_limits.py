"""Overload is refused at once and exactly; every wait has an end; whoever leaves frees their place."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from served import Serve, Served, events

from tastemaker.errors import LanguageModelError
from tastemaker.serve.conversation import Cancelled
from tastemaker.serve.problems import Problem
from tastemaker.serve.rates import REMEMBERED, Buckets
from tastemaker.serve.talk import replied
from tastemaker.serve.workers import MOST, Answer, Workers

Message = dict[str, Any]


async def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    """Give others their turn until it is so."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.001)


def test_overload_is_refused_at_once_and_exactly(serve: Serve) -> None:
    """Two running and three waiting; the next fifty are refused, and the five are answered once the gate opens."""
    served = serve(replies=2, replies_waiting=3, deadline=10)
    served.talker.gate = gate = threading.Event()
    chat = ("POST", "/v1/chat", {"message": "x"})

    async def crowd() -> tuple[list[Any], list[Any], Any]:
        inside = [asyncio.create_task(served.asked(*chat)) for _ in range(5)]
        await until(lambda: served.service.replies.load == (2, 3))
        refused = []
        for _ in range(50):
            refused.append(await served.asked(*chat))
            assert refused[-1].status_code == 503
        health = await served.asked("GET", "/healthz")
        metrics = await served.asked("GET", "/metrics")
        assert 'tastemaker_running{what="reply"} 2.0' in metrics.text
        assert 'tastemaker_waiting{what="reply"} 3.0' in metrics.text
        other = await served.asked("POST", "/v1/recommendations", {"user": "u0"})
        assert other.status_code == 200, "lists have threads of their own"
        gate.set()
        return [await task for task in inside], refused, health

    inside, refused, health = asyncio.run(crowd())
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert {answer.json()["error"]["type"] for answer in refused} == {"overloaded"}
    assert [answer.status_code for answer in inside] == [200] * 5
    assert all(events(answer.text)[-1][0] == "done" for answer in inside)
    assert health.status_code == 200
    assert served.ask(*chat).status_code == 200


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/chat/completions"])
def test_nothing_is_opened_for_a_message_that_is_refused(
    path: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(replies=1, replies_waiting=0, deadline=10)
    served.talker.gate = gate = threading.Event()
    bodies = {
        "/v1/chat": {"message": "x"},
        "/v1/chat/completions": {"model": "tastemaker", "messages": [{"role": "user", "content": "x"}]},
    }

    def touched(*args: Any, **options: Any) -> None:
        raise AssertionError("the database was asked")

    async def refused() -> Any:
        inside = asyncio.create_task(served.asked("POST", "/v1/chat", {"message": "x"}))
        await until(lambda: served.service.replies.load == (1, 0))
        for name in ("new", "get", "of_thread"):
            monkeypatch.setattr(served.service.dialogues, name, touched)
        answer = await served.asked("POST", path, bodies[path])
        monkeypatch.undo()
        gate.set()
        await inside
        return answer

    assert asyncio.run(refused()).status_code == 503


def test_a_model_that_stalls_does_not_outlast_the_deadline(serve: Serve) -> None:
    served = serve(deadline=0.2, ping=0.05, replies=4)
    served.talker.gate = gate = threading.Event()

    async def crowd() -> list[Any]:
        whole = {"message": "x", "stream": False}
        loop = asyncio.get_running_loop()
        begun = loop.time()
        answers = await asyncio.gather(
            served.asked("POST", "/v1/chat", whole), served.asked("POST", "/v1/chat", {"message": "x"})
        )
        assert loop.time() - begun < 2
        await until(lambda: served.service.replies.load == (0, 0))
        return list(answers)

    whole, streamed = asyncio.run(crowd())
    assert (whole.status_code, whole.json()["error"]["type"]) == (504, "deadline")
    names = [name for name, _ in events(streamed.text)]
    assert names == ["token", "error"]
    assert ": ping" in streamed.text
    gate.set()
    assert served.ask("POST", "/v1/chat", {"message": "x"}).status_code == 200


class Client:
    """One request over bare ASGI, which can leave whenever it likes."""

    def __init__(self, served: Served, body: bytes, *, leaves_after: int) -> None:
        """``leaves_after`` so many messages of the answer; zero: as soon as its request is sent."""
        self._served, self._body = served, body
        self._leaves_after, self._left = leaves_after, asyncio.Event()
        self.received: list[Message] = []

    async def run(self) -> None:
        sent = False

        async def receive() -> Message:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": self._body, "more_body": False}
            await self._left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            self.received.append(message)
            if len(self.received) >= self._leaves_after:
                self._left.set()

        key = f"Bearer {self._served.tokens['ann']}".encode()
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"authorization", key)]
        scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1"}
        scope |= {"method": "POST", "path": "/v1/chat", "raw_path": b"/v1/chat", "query_string": b"", "scheme": "http"}
        scope |= {"headers": headers, "client": ("127.0.0.1", 1), "server": ("localhost", 80), "root_path": ""}
        await self._served.app(scope, receive, send)

    def leave(self) -> None:
        self._left.set()


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_its_place(serve: Serve, stream: bool) -> None:
    served = serve(replies=2, replies_waiting=2)
    served.talker.gate = gate = threading.Event()
    body = b'{"message": "x", "stream": %s}' % (b"true" if stream else b"false")
    talker, workers = served.talker, served.service.replies

    async def crowd() -> None:
        clients = [Client(served, body, leaves_after=1_000) for _ in range(4)]
        tasks = [asyncio.create_task(client.run()) for client in clients]
        await until(lambda: workers.load == (2, 2) and len(talker.said) == 2)
        for client in clients:
            client.leave()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks)
        await until(lambda: workers.load == (0, 0))
        assert not served.service.answering

    asyncio.run(crowd())
    assert len(talker.said) == 2, "one word each of the two that ran, none of the two that waited"
    gate.set()
    test_overload_is_refused_at_once_and_exactly(serve)
    assert served.ask("GET", "/v1/dialogues").json() == {"dialogues": []}, "nobody waited for them"
    assert served.ask("POST", "/v1/chat", {"message": "x"}).status_code == 200


def test_disconnects_at_any_point_lose_no_place(serve: Serve) -> None:
    served = serve(replies=2, replies_waiting=100)
    served.talker.words = ["word "] * 20

    async def crowd() -> None:
        clients = [Client(served, b'{"message": "x"}', leaves_after=i % 25) for i in range(60)]
        await asyncio.gather(*(client.run() for client in clients))
        await until(lambda: served.service.replies.load == (0, 0))
        assert not served.service.answering

    asyncio.run(crowd())
    assert len(served.talker.said) < 60 * 20


def collected(answer: AsyncIterator[Any]) -> Any:
    async def all_of_it() -> list[Any]:
        return [piece async for piece in answer]

    return all_of_it()


def test_work_that_does_not_end_is_ended() -> None:
    workers = Workers("test", 1, 0)

    def endless(cancelled: Cancelled) -> Iterator[int]:
        while True:
            yield 1

    async def ask() -> None:
        answer = workers.submit(endless, idle=5)
        with pytest.raises(LanguageModelError, match="did not come to an end"):
            await collected(answer.__aiter__())
        await until(lambda: workers.load == (0, 0))
        with pytest.raises(ZeroDivisionError):
            await workers.run(lambda cancelled: 1 // 0, deadline=5)
        assert await workers.run(lambda cancelled: None, deadline=5) is None

    asyncio.run(ask())
    workers.close()
    assert MOST > 512


def test_a_place_is_free_before_its_answer_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    workers, at_work, end = Workers("test", 1, 0), list[int](), Answer.end

    def told(answer: Answer[object], how: BaseException | None) -> None:
        at_work.append(workers.load[0])
        end(answer, how)

    monkeypatch.setattr(Answer, "end", told)

    async def ask() -> None:
        for number in range(20):
            assert await workers.run(lambda cancelled, n=number: n, deadline=5) == number  # type: ignore[misc]

    asyncio.run(ask())
    workers.close()
    assert at_work == [0] * 20


def test_whoever_waits_and_leaves_frees_their_place_in_the_line() -> None:
    workers = Workers("test", 1, 1)
    gate = threading.Event()

    async def ask() -> None:
        first = asyncio.create_task(workers.run(lambda _: gate.wait(5), deadline=5))
        await until(lambda: workers.load == (1, 0))
        second = asyncio.create_task(workers.run(lambda _: gate.wait(5), deadline=5))
        await until(lambda: workers.load == (1, 1))
        second.cancel()
        await asyncio.wait({second})
        assert workers.load == (1, 0)
        gate.set()
        assert await first

    asyncio.run(ask())
    workers.close()


def test_whoever_leaves_as_a_piece_arrives_has_left() -> None:
    workers = Workers("test", 1, 0)
    gate = threading.Event()

    async def ask() -> None:
        answer = workers.submit(lambda _: iter(["piece"] if gate.wait(30) else []), idle=30)
        asking = asyncio.ensure_future(collected(answer.__aiter__()))
        await until(lambda: workers.load == (1, 0))
        answer._put(("piece",))
        asyncio.get_running_loop().call_soon(asking.cancel)
        await asyncio.wait({asking}, timeout=2)
        assert asking.cancelled()
        answer.stop()
        gate.set()

    asyncio.run(ask())
    workers.close()


def test_what_nobody_waits_for_is_neither_made_nor_remembered(served: Served) -> None:
    kept = served.service.dialogues.new("ann")
    told = [event.type for event in replied(served.service, kept, "x", lambda: True)]
    assert told == ["token"]
    assert served.service.dialogues.list("ann", 5) == []


def test_stopping_ends_what_waits_and_tells_it() -> None:
    workers = Workers("test", 1, 5)
    gate = threading.Event()

    async def ask() -> None:
        tasks = [asyncio.create_task(workers.run(lambda _: gate.wait(5), deadline=5)) for _ in range(3)]
        await until(lambda: workers.load == (1, 2))
        workers.drain()
        with pytest.raises(Problem, match="about to stop"):
            await workers.run(lambda _: None, deadline=5)
        assert workers.load == (1, 2), "what is under way goes on"
        workers.close()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(outcome, Problem)
            assert outcome.type == "stopping"
        gate.set()

    asyncio.run(ask())


def test_a_bucket_fills_again_at_its_rate() -> None:
    now = 0.0
    buckets = Buckets(60, 10, clock=lambda: now)
    assert [buckets.take("a") for _ in range(10)] == [0.0] * 10
    assert buckets.take("a") == pytest.approx(1.0)
    assert buckets.take("b") == 0.0, "each has its own"
    now = 0.5
    assert buckets.take("a") == pytest.approx(0.5), "what was refused took nothing"
    now = 1.0
    assert buckets.take("a") == 0.0
    now = 1_000.0
    assert [buckets.take("a") > 0 for _ in range(11)] == [False] * 10 + [True]
    for name in range(REMEMBERED):
        buckets.take(str(name))
    assert buckets.take("a") == 0.0, "forgotten, so full"


def test_one_key_s_haste_is_not_another_s_wait(serve: Serve) -> None:
    served = serve(rate=60, burst=3)
    ask = ("POST", "/v1/recommendations", {"user": "u0", "n": 1})

    async def crowd() -> None:
        hasty = [await served.asked(*ask, key="ann") for _ in range(20)]
        assert [answer.status_code for answer in hasty][:3] == [200] * 3
        refused = [answer for answer in hasty if answer.status_code == 429]
        assert len(refused) >= 15
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert [(await served.asked(*ask, key="bob")).status_code for _ in range(3)] == [200] * 3
        assert (await served.asked("GET", "/healthz", key="ann")).status_code == 200

    asyncio.run(crowd())
