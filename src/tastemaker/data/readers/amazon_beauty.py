"""The Amazon Beauty sequences of 2014 as papers pass them on: user, item and place in the order -> Dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tastemaker.data.dataset import Dataset
from tastemaker.data.readers.base import Reader, find
from tastemaker.data.readers.table import Table


class AmazonBeauty(Reader):
    """22,363 users, 12,101 items, 198,502 purchases in their order; no ratings and no times."""

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """A folder with ``sequences.csv`` and ``items.csv``."""
        return (path / "sequences.csv").is_file() and (path / "items.csv").is_file()

    def read(self, path: Path, **options: Any) -> Dataset:
        """The dataset in the folder ``path``."""
        columns = {"user_id": "user", "item_id": "asin"}
        given = {"name": "amazon-beauty", "columns": columns, "items": find(path, "items.csv"), **options}
        return Table().read(find(path, "sequences.csv"), **given)
