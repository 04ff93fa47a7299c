"""What happens in one service -> figures that Prometheus reads, in which nobody's words or ids occur."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tastemaker.serve.workers import Workers

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)


class Metrics:
    """Of one app; two in a process do not mix."""

    def __init__(self, workers: Iterable[Workers]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Load(tuple(workers)))
        self.requests = Counter(
            "tastemaker_requests", "Answers, by route and status", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "tastemaker_request_seconds", "Until an answer ended", ["route"], registry=self.registry, buckets=BUCKETS
        )
        self.tokens = Counter("tastemaker_tokens", "Pieces of text in replies", registry=self.registry)
        self.degraded = Counter(
            "tastemaker_degraded", "Answers without their language model", ["what"], registry=self.registry
        )
        self.repairs = Counter("tastemaker_repairs", "Places in lists that had to be filled in", registry=self.registry)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)


class _Load(Collector):
    def __init__(self, workers: tuple[Workers, ...]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[GaugeMetricFamily]:
        running = GaugeMetricFamily("tastemaker_running", "Pieces of work that are worked on", labels=["what"])
        waiting = GaugeMetricFamily("tastemaker_waiting", "Pieces of work that wait", labels=["what"])
        for workers in self._workers:
            for gauge, value in zip((running, waiting), workers.load, strict=True):
                gauge.add_metric([workers.name], value)
        yield from (running, waiting)
