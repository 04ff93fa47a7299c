"""A running service -> what its clients see: seconds, statuses, lists; and what the process holds meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import numpy as np
import psutil

from benchmarks.load.server import Job

Ask = Callable[[httpx2.AsyncClient, int], Awaitable[int]]
"""A client and the number of its request -> the status; anything wrong with a 200 is told as 0."""


ARRIVING = 2.0
"""Seconds in which the clients of a crowd come."""


@dataclass
class Seen:
    """Every request of a run."""

    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)
    """When each was sent, by the same clock."""
    wall: float = 0.0

    def of(self, *statuses: int) -> list[float]:
        """Seconds of the answers with one of these."""
        return [s for status, s in zip(self.statuses, self.seconds, strict=True) if status in statuses]

    def later(self, since: float) -> Seen:
        """Those that were sent since."""
        rows = [row for row in zip(self.statuses, self.seconds, self.begun, strict=True) if row[2] >= since]
        return Seen([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])

    def errors(self, *expected: int) -> int:
        """Answers of any other status."""
        return sum(status not in expected for status in self.statuses)

    def percentiles(self, *statuses: int) -> dict[str, float]:
        """Milliseconds at which 50, 95 and 99 of 100 had their answer."""
        found = self.of(*statuses) or [float("nan")]
        return {f"p{p}": round(1000 * float(np.percentile(found, p)), 1) for p in (50, 95, 99)}


@dataclass
class Server:
    """A service in a process of its own."""

    url: str
    process: subprocess.Popen[str]

    @property
    def inside(self) -> psutil.Process:
        """Its memory, files and threads."""
        return psutil.Process(self.process.pid)


@contextlib.contextmanager
def serving(job: Job) -> Iterator[Server]:
    """The service, until the block ends."""
    command = [sys.executable, "-m", "benchmarks.load.server", job.model_dump_json()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603
        try:
            assert process.stdout
            yield Server(json.loads(process.stdout.readline()), process)
        finally:
            process.kill()


@contextlib.asynccontextmanager
async def client(server: Server, seconds: float = 60.0) -> AsyncIterator[httpx2.AsyncClient]:
    """Connections to it, as many as are wanted."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=128)
    async with httpx2.AsyncClient(base_url=server.url, timeout=seconds, limits=limits) as http:
        yield http


async def crowd(http: httpx2.AsyncClient, ask: Ask, clients: int, seconds: float) -> Seen:
    """So many clients, each asking again as soon as it is answered.

    They come one after the other in the first `ARRIVING` seconds: what a hundred requests sent in one moment wait for
    is the one process that sends them all.
    """
    seen, begun, rng = Seen(), time.perf_counter(), np.random.default_rng(0)

    async def one(number: int) -> None:
        await asyncio.sleep(min(ARRIVING, seconds / 2) * number / clients)
        while time.perf_counter() - begun < seconds:
            if await timed(seen, http, ask, number) == 503:
                # About as it is told, a little sooner: else refusals alone would fill the machine.
                await asyncio.sleep(rng.uniform(0.4, 0.6))
            number += clients

    await asyncio.gather(*(one(number) for number in range(clients)))
    seen.wall = time.perf_counter() - begun
    return seen


async def steady(http: httpx2.AsyncClient, ask: Ask, rate: float, seconds: float) -> Seen:
    """So many requests a second, whether or not the earlier ones are answered."""
    seen, begun, tasks = Seen(), time.perf_counter(), list[Any]()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(timed(seen, http, ask, number)))
    await asyncio.gather(*tasks)
    seen.wall = time.perf_counter() - begun
    return seen


async def timed(seen: Seen, http: httpx2.AsyncClient, ask: Ask, number: int) -> int:
    """Ask once, note it, and give the status; a connection that fails is status 0."""
    begun = time.perf_counter()
    try:
        status = await ask(http, number)
    except (httpx2.HTTPError, ValueError, KeyError, AssertionError):
        status = 0
    seen.seconds.append(time.perf_counter() - begun)
    seen.begun.append(begun)
    seen.statuses.append(status)
    return status


WISHES = (
    "a comedy",
    "a crime film",
    "something new",
    "a western, not too old",
    "a drama or romance",
)


async def talk(http: httpx2.AsyncClient, number: int) -> int:
    """A first message, streamed by every other client; the reply must end with a full list."""
    stream = number % 2 == 0
    body = {"message": WISHES[number % len(WISHES)], "user": f"u{number % 100}", "stream": stream}
    answer = await http.post("/v1/chat", json=body)
    if answer.status_code != 200:
        return answer.status_code
    if stream:
        return 200 if "event: done" in answer.text and "event: items" in answer.text else 0
    return 200 if len(answer.json()["items"]) == 10 else 0


async def listed(http: httpx2.AsyncClient, number: int) -> int:
    """Ten recommendations, all different."""
    answer = await http.post("/v1/recommendations", json={"user": f"u{number % 100}"})
    if answer.status_code != 200:
        return answer.status_code
    return 200 if len({row["item_id"] for row in answer.json()["recommendations"]}) == 10 else 0


async def healthy(http: httpx2.AsyncClient, number: int) -> int:
    """Whether it lives."""
    return (await http.get("/healthz")).status_code


def mixed(asks: Sequence[Ask]) -> Ask:
    """One after the other."""

    async def ask(http: httpx2.AsyncClient, number: int) -> int:
        return await asks[number % len(asks)](http, number)

    return ask
