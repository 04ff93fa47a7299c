"""A saved recommender and many users -> their lists in one file; what was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tastemaker import __version__
from tastemaker.errors import ArtifactError, UsageError
from tastemaker.recommend import saved
from tastemaker.recommend.asked import Asked, Unknown
from tastemaker.recommend.blocks import Blocks, Question, opened
from tastemaker.recommend.lists import batches
from tastemaker.recommend.recommender import Recommender
from tastemaker.recommend.tables import require_free, write_table
from tastemaker.types import Progress, quiet

COLUMNS = ("user_id", "rank", "item_id", "title", "score")
REASON = "reason"
_DEGRADED = "degraded"  # of the blocks, and not of the file that they become
_USERS = 4096  # of a block: what is lost at most when the work is killed
_SLOWER = 16  # times as few where a language model answers, and again where reasons are measured


@dataclass(frozen=True, slots=True)
class Written:
    """What there is to say of a file of lists."""

    path: str
    users: int
    """For whom there is a list, be it empty."""
    rows: int
    resumed: int
    """Users whose lists were there from the time before."""
    seconds: float
    """For the others."""
    short: int
    """Lists with fewer items than were asked for: there were no more."""
    without_history: int
    """Users of whom nothing is known, who get what everybody gets."""
    filled: int
    """Places filled in from the retriever's order, whose score is empty."""
    degraded: int
    """Lists in a block in which the language model failed; the retriever made them alone."""
    escaped: int
    """Cells that would be formulas in a spreadsheet and now begin with a ``'``; in CSV alone."""
    skipped: tuple[str, ...]
    """Ids that were left out because nobody knows them."""

    @property
    def lists_per_second(self) -> float | None:
        """Of those made now; None if all were there already."""
        made = self.users - self.resumed
        return made / max(self.seconds, 1e-9) if made else None

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {**asdict(self), "skipped": list(self.skipped), "lists_per_second": self.lists_per_second}


@dataclass(frozen=True)
class Batch:
    """Which lists are wanted: ``Batch("runs/llara", n=20).write("lists.parquet")``."""

    directory: str | os.PathLike[str]
    """Where the recommender, or the run that has it, was saved."""
    users: Sequence[str] | None = None
    """Each counts once; None: everybody the recommender knows."""
    n: int = 10
    candidates: Sequence[str] | None = None
    """None: the whole catalogue."""
    filter_seen: bool = True
    reasons: bool = False
    """Whether to measure, for each item, what it rests on: some twenty more scorings an item."""
    unknown: Unknown = "error"

    def write(self, out: str | os.PathLike[str], *, overwrite: bool = False, progress: Progress = quiet) -> Written:
        """The lists in ``out`` (Parquet, CSV or JSON Lines by its name), users in their order, each list best first.

        They are made in blocks that are kept in ``OUT.blocks``; the same call goes on after those that are there, and
        the file comes out the same. Memory holds one block. Raises `UsageError`.
        """
        path = Path(out)
        require_free(path, overwrite=overwrite)
        lists = _Lists(self)
        with opened(path, lists.question, overwrite=overwrite) as blocks:
            resumed, seconds = lists.fill(blocks, progress)
            return lists.join(blocks, path, resumed, seconds)


class _Lists:
    """A recommender, asked block by block."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.recommender = Recommender.from_pretrained(batch.directory)
        data = self.recommender.data
        wanted = data.users["user_id"].to_list() if batch.users is None else batch.users
        self.asked = Asked.of(wanted, None, batch.candidates).settled(data, batch.unknown)
        self.users = list(dict.fromkeys(self.asked.users or ()))
        self.numbers = data.user_numbers(self.users).tolist()
        if not self.users:
            raise UsageError(f"{batch.directory} knows nobody who is asked for; it knows {data.n_users:,} users")
        self.size = _USERS // (_SLOWER if self.recommender.ranker else 1) // (_SLOWER if batch.reasons else 1)

    @property
    def question(self) -> Question:
        candidates = self.asked.candidates
        return Question(
            version=__version__,
            recommender=saved.fingerprint(self.batch.directory),
            users=_hash(self.users),
            candidates=None if candidates is None else _hash(candidates),
            n=self.batch.n,
            filter_seen=self.batch.filter_seen,
            reasons=self.batch.reasons,
            size=self.size,
        )

    def fill(self, blocks: Blocks, progress: Progress) -> tuple[int, float]:
        """How many users' lists were there, and the seconds it took to make the others."""
        resumed, began = 0, time.perf_counter()
        for number, part in enumerate(batches(self.size, len(self.users))):
            if number in blocks:
                resumed += part.stop - part.start
            else:
                blocks.keep(number, self._block(self.users[part]))
            progress("lists", part.stop, len(self.users))
        return resumed, time.perf_counter() - began

    def join(self, blocks: Blocks, path: Path, resumed: int, seconds: float) -> Written:
        """One file of all blocks."""
        rows, n = blocks.rows(), self.batch.n
        lists = rows.group_by("user_id").agg(
            pl.len(), pl.col("score").null_count().alias("filled"), pl.col(_DEGRADED).any()
        )
        counts = lists.select(pl.col("len", "filled", _DEGRADED).sum(), (pl.col("len") >= n).sum().alias("full"))
        try:
            (told,) = counts.collect(engine="streaming").to_dicts()
        except pl.exceptions.PolarsError as error:
            reason = str(error).partition("\n")[0]
            raise ArtifactError(f"{blocks.folder}: a block is damaged ({reason}); remove the folder") from error
        escaped = write_table(rows.drop(_DEGRADED), path)
        return Written(
            path=str(path),
            users=len(self.users),
            rows=told["len"],
            resumed=resumed,
            seconds=seconds,
            short=len(self.users) - told["full"],
            without_history=sum(not len(self.recommender.data.history(user)) for user in self.numbers),
            filled=told["filled"],
            degraded=told[_DEGRADED],
            escaped=escaped,
            skipped=self.asked.skipped,
        )

    def _block(self, users: Sequence[str]) -> pl.DataFrame:
        batch, recommender = self.batch, self.recommender
        rows = recommender.recommend(
            users, n=batch.n, candidates=self.asked.candidates, filter_seen=batch.filter_seen
        ).select(COLUMNS)
        degraded = recommender.degraded
        if batch.reasons:
            pairs = rows.select("user_id", "item_id").iter_rows()
            found = [recommender.explain(item, user=user) for user, item in pairs]
            rows = rows.with_columns(pl.Series(REASON, [one.sentence for one in found], dtype=pl.String))
            degraded = degraded or any(one.degraded for one in found)
        return rows.with_columns(pl.lit(degraded).alias(_DEGRADED))


def _hash(ids: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(ids)).encode()).hexdigest()
