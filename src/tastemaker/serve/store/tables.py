"""The tables as they are now; `migrations` says how they came to be."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

dialogues = Table(
    "dialogues",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),  # counts the saves, so that of two at once one is refused
    Column("thread", String(64), nullable=False),  # digest of its messages, by which clients without ids find it
    Column("made", BigInteger, nullable=False),  # milliseconds since 1970, as is used
    Column("used", BigInteger, nullable=False),
    Column("asked", String(64), nullable=False),  # digest of its messages but for the last answer; may be empty
    Column("earlier", Text, nullable=False),  # the state that answer began with, if asked is not empty
    Index("dialogues_by_use", "owner", "used"),
    Index("dialogues_by_thread", "owner", "thread"),
    Index("dialogues_by_asked", "owner", "asked"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("about", Text, primary_key=True),  # "dialogue:ID" or "user:ID"
    Column("item_id", Text, primary_key=True),
    Column("verdict", String(8), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("absorbed", Integer, nullable=False),  # 1 once the dialogue's own state has it
)
