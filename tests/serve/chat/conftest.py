"""One engine over the made-up cinema and library, made once; nothing in it is changed by replies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cinema
import pytest
from talks import Talk

from tastemaker.serve.chat.engine import Engine

pytest.importorskip("lancedb", reason="pip install 'tastemaker[search]'")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("catalogues")


@pytest.fixture(scope="session")
def engine(folder: Path) -> Engine:
    return cinema.engine(folder)


@pytest.fixture
def another(engine: Engine) -> Callable[..., Engine]:
    """Gives an engine over the same shelves with other options."""
    return lambda **options: Engine(*engine.shelves.values(), **options)


@pytest.fixture
def talk(engine: Engine) -> Talk:
    return Talk(engine, user_id="u3")
