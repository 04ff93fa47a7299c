"""A database of any earlier version, or an empty one -> the tables of this version. The list only ever grows."""

from __future__ import annotations

from sqlalchemy import Connection, text

from tastemaker.errors import UsageError

_LOCK = 7_411_853  # any number, the same for all who migrate

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (  # 1: dialogues and feedback
        "CREATE TABLE dialogues (id VARCHAR(32) NOT NULL PRIMARY KEY, owner VARCHAR(64) NOT NULL, title TEXT NOT NULL,"
        " state TEXT NOT NULL, version INTEGER NOT NULL, thread VARCHAR(64) NOT NULL, made BIGINT NOT NULL,"
        " used BIGINT NOT NULL)",
        "CREATE INDEX dialogues_by_use ON dialogues (owner, used)",
        "CREATE INDEX dialogues_by_thread ON dialogues (owner, thread)",
        "CREATE TABLE feedback (owner VARCHAR(64) NOT NULL, about TEXT NOT NULL, item_id TEXT NOT NULL,"
        " verdict VARCHAR(8) NOT NULL, at BIGINT NOT NULL, absorbed INTEGER NOT NULL,"
        " PRIMARY KEY (owner, about, item_id))",
    ),
    (  # 2: what an answer that is asked for again begins with
        "ALTER TABLE dialogues ADD COLUMN asked VARCHAR(64) NOT NULL DEFAULT ''",
        "ALTER TABLE dialogues ADD COLUMN earlier TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX dialogues_by_asked ON dialogues (owner, asked)",
    ),
)


def migrate(connection: Connection) -> int:
    """How many steps were taken, all in the transaction of ``connection``. Raises `UsageError` for a later version."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    connection.execute(text("CREATE TABLE IF NOT EXISTS tastemaker_schema (version INTEGER NOT NULL)"))
    found = connection.execute(text("SELECT version FROM tastemaker_schema")).scalar()
    if found is None:
        connection.execute(text("INSERT INTO tastemaker_schema (version) VALUES (0)"))
    version = found or 0
    if version > len(MIGRATIONS):
        raise UsageError(f"the database is of version {version}, this program knows {len(MIGRATIONS)}; use a later one")
    for step in MIGRATIONS[version:]:
        for statement in step:
            connection.execute(text(statement))
    connection.execute(text("UPDATE tastemaker_schema SET version = :version"), {"version": len(MIGRATIONS)})
    return len(MIGRATIONS) - version
