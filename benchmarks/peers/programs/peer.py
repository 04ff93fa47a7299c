"""What every peer's program does: read its job, count the seconds of its work alone, write its answer.

Programs run in an environment of their own and share nothing with tastemaker but the files in the folder they get:
``job.json`` and what it speaks of come in, ``answer.json`` and what it speaks of go out.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path


class Job:
    """The folder given on the command line; ``job["key"]`` is a setting."""

    def __init__(self) -> None:
        self.folder = Path(sys.argv.pop(1)).resolve()
        self.settings = json.loads((self.folder / "job.json").read_text())
        self.curve: list[dict] = []

    def __getitem__(self, name: str):
        return self.settings[name]

    def rows(self, name: str) -> list[tuple[int, int, int]]:
        """(user, item, place in the user's sequence) of ``train.csv`` or ``queries.csv``."""
        with (self.folder / name).open(newline="") as file:
            return [(int(r["user"]), int(r["item"]), int(r["place"])) for r in csv.DictReader(file)]

    def histories(self) -> dict[int, list[int]]:
        """What each user who is asked about has seen, oldest first."""
        found = defaultdict(list)
        for user, item, _ in self.rows("queries.csv"):
            found[user].append(item)
        return dict(found)

    def due(self, epoch: int) -> bool:
        """Whether recommendations are wanted after so many epochs."""
        return epoch % self["every"] == 0 or epoch == self["epochs"]

    def recommend(self, epoch: int, seconds: float, users, lists) -> None:
        """Keep what is recommended after so many epochs and seconds of training: a list of items for each user."""
        name = f"top-{epoch}.csv"
        with (self.folder / name).open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(("user", "item"))
            out.writerows((int(u), int(i)) for u, items in zip(users, lists, strict=True) for i in items)
        self.curve.append({"epoch": epoch, "seconds": seconds, "top": name})

    def answer(self, packages: tuple[str, ...], **facts) -> None:
        """Write the answer: versions of these packages, and whatever was measured."""
        versions = {name: version(name) for name in packages}
        (self.folder / "answer.json").write_text(json.dumps({"versions": versions, **facts}))


class Clock:
    """``with clock:`` adds to ``clock.seconds``."""

    seconds = 0.0

    def __enter__(self) -> Clock:
        self.started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self.started
