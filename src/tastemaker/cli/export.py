"""tastemaker export: what a run has learned, for use elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tastemaker.cli._main import example
from tastemaker.cli._options import Directory, Json, Overwrite
from tastemaker.cli._output import say, show_json, show_line

export = typer.Typer(no_args_is_help=False, rich_markup_mode=None)


@export.callback(invoke_without_command=True)
def _export(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@export.command(
    epilog=example(
        "tastemaker export embeddings runs/llara --out items.parquet",
        "tastemaker export embeddings runs/bpr --users --out users.parquet",
    )
)
def embeddings(
    directory: Directory,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.parquet", help="Where to write them.")],
    users: Annotated[bool, typer.Option("--users", help="The vectors of users, where the model has such.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write item_id, title and vector of the collaborative model under a run; with --users, user_id and vector.

    Whom and what training never saw has no vector and is left out.
    """
    from tastemaker.recommend import Recommender
    from tastemaker.recommend.tables import require_free, write_table
    from tastemaker.recommend.vectors import VECTOR, item_embeddings, lender, user_embeddings

    require_free(out, overwrite=overwrite, suffixes=(".parquet",))
    recommender = Recommender.from_pretrained(directory)
    rows = user_embeddings(recommender) if users else item_embeddings(recommender)
    write_table(rows.lazy(), out)
    size, model = rows.schema[VECTOR].shape[0], type(lender(recommender)).__name__  # type: ignore[attr-defined]
    missing = (recommender.data.n_users if users else recommender.data.n_items) - rows.height
    if missing:
        say(f"note: {missing:,} {'users' if users else 'items'} that training never saw are left out")
    say(f"{rows.height:,} vectors of {size} numbers, of {model}")
    if as_json:
        show_json({"path": str(out), "model": model, "rows": rows.height, "size": size, "left_out": missing})
    else:
        show_line(str(out))
