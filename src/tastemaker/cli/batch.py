"""tastemaker batch: lists for many users or for all, in one file; stopped half way, the same command goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tastemaker.cli._options import Candidates, Directory, Json, Overwrite, Unknown, WithSeen
from tastemaker.cli._output import say, show_json, show_line
from tastemaker.cli._progress import reporting

if TYPE_CHECKING:
    from tastemaker.recommend.batch import Written

EXAMPLE = "tastemaker batch runs/llara --users all --out lists.parquet -k 20"
EVERYBODY = "all"


def batch(
    directory: Directory,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A .parquet, .csv or .jsonl file.")],
    users: Annotated[
        str, typer.Option("--users", metavar="all|FILE", help="Everybody, or user ids, one a line; - is stdin.")
    ] = EVERYBODY,
    n: Annotated[int, typer.Option("-k", "-n", min=1, metavar="N", help="How many items for each user.")] = 10,
    candidates: Candidates = None,
    seen: WithSeen = False,
    reasons: Annotated[
        bool, typer.Option("--reasons", help="Measure what each item rests on, as `explain` does. Takes long.")
    ] = False,
    unknown: Unknown = "error",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write user_id, rank, item_id, title and score, best first, users in their order.

    Blocks are kept in FILE.blocks until the file is whole. Somebody without a history gets what everybody likes.
    """
    from tastemaker.cli._asking import candidates_in, ids_in, policy
    from tastemaker.errors import DataError, Interrupted
    from tastemaker.recommend.batch import Batch
    from tastemaker.recommend.blocks import beside

    listed = None if users == EVERYBODY else ids_in(Path(users))
    if listed == []:
        raise DataError(f"holds no ids; --users {EVERYBODY} makes lists for everybody", users)
    wanted = Batch(directory, listed, n, candidates_in(candidates), not seen, reasons, policy(unknown))
    try:
        with reporting() as progress:
            written = wanted.write(out, overwrite=overwrite, progress=progress)
    except KeyboardInterrupt:
        if not beside(out).is_dir():
            raise
        raise Interrupted(f"stopped; the same command goes on from what {beside(out)} holds") from None
    _tell(written, n)
    if as_json:
        show_json(written.as_dict())
    else:
        show_line(written.path)


def _tell(written: Written, n: int) -> None:
    from tastemaker.recommend.asked import left_out

    if written.skipped:
        say(f"warning: {left_out(written.skipped)}")
    remarks = [
        ("warning: lists of the retriever alone, as the language model did not answer", written.degraded),
        ("note: places filled in from the retriever's order", written.filled),
        (f"note: lists of fewer than {n} items, for want of more", written.short),
        ("note: users without a history, who get what everybody likes", written.without_history),
        ("note: cells that a spreadsheet would take for formulas, now with a ' before them", written.escaped),
    ]
    for remark, count in remarks:
        if count:
            say(f"{remark}: {count:,}")
    before = f", {written.resumed:,} of them from before" if written.resumed else ""
    rate = written.lists_per_second
    took = "" if rate is None else f"; {written.seconds:,.1f} s, {rate:,.1f} lists a second"
    say(f"{written.users:,} lists{before}{took}")
