"""What people said and judged -> a database that keeps it: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

from tastemaker.serve.store.database import Database, open_database
from tastemaker.serve.store.dialogues import Dialogues, Kept, Listed
from tastemaker.serve.store.feedback import Feedback, Verdict, with_verdicts

__all__ = ["Database", "Dialogues", "Feedback", "Kept", "Listed", "Verdict", "open_database", "with_verdicts"]
