"""``tastemaker("train", ...)`` in this process: exit code, stdout and stderr."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tastemaker.cli import main
from tastemaker.data.dataset import Dataset


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def ok(self) -> Outcome:
        """The same, if it went well."""
        assert self.code == 0, f"exit {self.code}: {self.err}"
        return self

    def fails(self, code: int, *told: str) -> None:
        """It must have left with that code, no result and one line that says all this."""
        assert (self.code, self.out) == (code, ""), f"exit {self.code}: {self.err}{self.out}"
        *before, line = self.err.splitlines()
        assert line.startswith("error: "), self.err
        assert not [other for other in before if "rror" in other], self.err
        for words in told:
            assert words in line, f"{words!r} is not in {line!r}"

    @property
    def json(self) -> Any:
        """The result."""
        return json.loads(self.ok().out)


def tastemaker(*arguments: object) -> Outcome:
    """Run the command line as a terminal would, in this process."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(one) for one in arguments])
        except SystemExit as left:
            code = left.code
    return Outcome(code, out.getvalue(), err.getvalue())


def films_folder(folder: Path, dataset: Dataset) -> Path:
    """A folder with the dataset as ``interactions.csv`` and ``items.csv``."""
    folder.mkdir(parents=True)
    rows = dataset.interactions
    pl.DataFrame(
        {
            "user_id": dataset.users["user_id"].gather(rows["user"]),
            "item_id": dataset.items["item_id"].gather(rows["item"]),
            "time": rows["time"],
        }
    ).write_csv(folder / "interactions.csv")
    dataset.items.with_columns(pl.col("genres").list.join("|")).write_csv(folder / "items.csv")
    return folder
