"""Every test runs offline: no hub, no network but this machine itself, no colours, few threads."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
    os.environ[name] = "1"  # before anything imports a hub client, which reads them once
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

EXAMPLES = int(os.environ.get("TASTEMAKER_EXAMPLES", "0"))
"""Hypothesis examples a test; 0 leaves each test its own modest number."""

settings.register_profile(
    "tastemaker", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("tastemaker")


class NetworkBlockedError(RuntimeError):
    """A test tried to leave this machine."""


def pytest_configure(config: pytest.Config) -> None:
    for method in ("connect", "connect_ex"):
        setattr(socket.socket, method, _guarded(getattr(socket.socket, method)))
    socket.getaddrinfo = _guarded_lookup(socket.getaddrinfo)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if EXAMPLES and hasattr(test := getattr(item, "function", None), "hypothesis"):
            test._hypothesis_internal_use_settings = settings(
                test._hypothesis_internal_use_settings, max_examples=EXAMPLES
            )
        if item.get_closest_marker("data") and "TASTEMAKER_DATA" not in os.environ:
            item.add_marker(pytest.mark.skip(reason="TASTEMAKER_DATA is not set"))


@pytest.fixture
def real_data() -> Path:
    """The folder of real data files; the test is skipped where there is none."""
    if "TASTEMAKER_DATA" not in os.environ:
        pytest.skip("TASTEMAKER_DATA is not set")
    return Path(os.environ["TASTEMAKER_DATA"])


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
            raise NetworkBlockedError(f"a test tried to reach {address[0]}")
        return connect(self, address)

    return guarded


def _guarded_lookup(lookup: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(host: Any, *args: Any, **options: Any) -> Any:
        if host and not _is_here(host):
            raise NetworkBlockedError(f"a test tried to look up {host}")
        return lookup(host, *args, **options)

    return guarded


def _is_here(host: Any) -> bool:
    host = host.decode() if isinstance(host, bytes) else str(host)
    if host in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback or host in ("0.0.0.0", "::")  # noqa: S104
    except ValueError:
        return False
