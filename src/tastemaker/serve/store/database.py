"""A path or a URL -> an open database, migrated, that many threads may use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from tastemaker.errors import ConfigError
from tastemaker.serve.store.migrations import migrate

_WAIT = 5
"""Seconds that a statement waits for another's lock."""


@dataclass(frozen=True)
class Database:
    """Where state is kept."""

    engine: Engine

    def ping(self) -> None:
        """Raises what the database raises, if it does not answer."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def open_database(where: str | Path) -> Database:
    """The SQLite file at a path, made if it is not there, or what a URL names. Raises `ConfigError`."""
    url = _url(where)
    shown = url.render_as_string(hide_password=True)
    try:
        if url.drivername == "sqlite" and url.database:
            _make_private(Path(url.database))
        return _migrated(Database(_engine(url)))
    except ImportError as error:
        raise ConfigError(f"{shown}: needs {error.name}; install tastemaker[postgres]") from error
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be made ({error.strerror})") from error
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().partition("\n")[0]
        raise ConfigError(f"{shown}: cannot be opened ({reason})") from error


def _migrated(database: Database) -> Database:
    try:
        with database.engine.begin() as connection:
            migrate(connection)
    except BaseException:
        database.close()
        raise
    return database


def _url(where: str | Path) -> URL:
    if isinstance(where, Path) or "://" not in where:
        return URL.create("sqlite", database=str(where))
    try:
        url = make_url(where)
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ConfigError("the database's URL is not one; write postgresql://user:password@host/name") from error
    except ImportError:  # of the driver that the bare name stands for; ours is another
        pass
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise ConfigError(f"{backend} is not supported; use a file's path or postgresql://")
    return url.set(drivername="sqlite" if backend == "sqlite" else "postgresql+psycopg")


def _engine(url: URL) -> Engine:
    if url.drivername != "sqlite":
        limits = f"-c statement_timeout={1000 * _WAIT} -c lock_timeout={1000 * _WAIT}"
        connect = {"connect_timeout": _WAIT, "options": limits}
        return create_engine(url, connect_args=connect, pool_pre_ping=True, pool_timeout=_WAIT)
    engine = create_engine(url, connect_args={"timeout": _WAIT}, pool_timeout=_WAIT)
    event.listen(engine, "connect", _prepare)
    # The driver would begin a transaction only at the first change; a lock taken late can fail without waiting.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _prepare(connection: Any, _: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={1000 * _WAIT}"):
        connection.execute(f"PRAGMA {pragma}")


def _make_private(path: Path) -> None:
    """What people say is for the owner of the file alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
