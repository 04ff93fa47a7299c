"""tastemaker data: list, fetch, import, describe, split and export datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tastemaker.cli._main import example
from tastemaker.cli._options import From, Json, Settings, group
from tastemaker.cli._output import say, show_json, show_line, show_table
from tastemaker.cli._progress import reporting

data = typer.Typer(no_args_is_help=False, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A dataset's name; see `tastemaker data list`.")]
NameOrPath = Annotated[str, typer.Argument(metavar="NAME|PATH", help="A dataset by name, or files of a known format.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write it.")]


@data.callback(invoke_without_command=True)
def _data(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@data.command("list", epilog=example("tastemaker data list"))
def list_(as_json: Json = False) -> None:
    """The datasets and formats there are, and which of them are here already."""
    from tastemaker.cli._datasets import known

    rows = known()
    if as_json:
        show_json(rows)
    else:
        show_table(("name", "what", "files"), [(r["name"], r["what"], _where(r)) for r in rows])


@data.command(epilog=example("tastemaker data fetch ml-100k", "tastemaker data fetch ml-100k --from ml-100k.zip"))
def fetch(name: Name, from_: From = None, as_json: Json = False) -> None:
    """Bring a dataset here, once: pinned, verified, resumed where it was cut. Prints where it is."""
    from tastemaker.data import locate

    with reporting() as progress:
        path = locate(name, from_, progress)
    if as_json:
        show_json({"name": name, "path": str(path)})
    else:
        show_line(str(path))


@data.command(
    "import",
    epilog=example(
        "tastemaker data import ratings.csv --out data/mine -o columns.user_id=reader -o columns.item_id=isbn",
        "tastemaker data import books.inter --out data/books",
    ),
)
def import_(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A table (CSV, Parquet, JSONL) or RecBole files.")],
    out: Out,
    format_: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="If it cannot be told from the file's name.")
    ] = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Read files of any known format and keep them as a checked dataset.

    -o columns.OURS=THEIRS says which column is which (user_id, item_id, rating, time, order, title, year, genres);
    -o items=FILE and -o users=FILE name further tables; -o on_bad=skip leaves bad rows out and counts them.
    """
    from tastemaker.config import parse_overrides
    from tastemaker.data import comes_split, load_dataset

    name, place = (str(path), None) if format_ is None else (format_, path)
    with reporting() as progress:
        dataset = load_dataset(name, place, progress, **parse_overrides(settings or ()))
        dataset.save(out)
    if comes_split(name):
        say(f"note: {path} comes split, and only its interactions are kept; --data {path} uses the split as it is")
    _kept(dataset.name, dataset, out, as_json)


@data.command(epilog=example("tastemaker data describe ml-100k", "tastemaker data describe my.csv --split user-ratio"))
def describe(
    name: NameOrPath,
    from_: From = None,
    split_name: Annotated[
        str | None, typer.Option("--split", metavar="NAME", help="Describe this split of it too, and look for leaks.")
    ] = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """What is in a dataset and what is odd about it; with --split, or if it comes split, that too, leaks included.

    -o sets the split's settings, -o data.KEY those of the reader.
    """
    from tastemaker import data as library
    from tastemaker.config import parse_overrides
    from tastemaker.errors import UsageError

    given = parse_overrides(settings or ())
    of_reader = group(given, "data")
    if given and split_name is None:
        raise UsageError("-o sets a split's settings; say of which with --split")
    with reporting() as progress:
        ready = split_name is None and library.comes_split(name)
        split = library.load_split(name, from_, progress, **of_reader) if ready else None
        dataset = library.load_dataset(name, from_, progress, **of_reader) if split is None else split.dataset
        told = library.describe(dataset).as_dict()
        if split_name is not None:
            split = dataset.split(split_name, **given)
        if split is not None:
            told["split"] = library.describe_split(split).as_dict()
    if as_json:
        show_json(told)
        return
    parts = told.pop("split", None)
    show_table(("", dataset.name), _facts(told))
    if parts:
        show_table(("", parts["name"]), _facts(parts))


@data.command(
    epilog=example(
        "tastemaker data split ml-100k --split leave-one-out --out data/loo -o k_core=5 -o min_rating=4",
        "tastemaker data split ml-100k --split user-ratio --out data/llara",
    )
)
def split(
    name: NameOrPath,
    out: Out,
    split_name: Annotated[str, typer.Option("--split", metavar="NAME", help="leave-one-out, user-ratio, time ...")],
    from_: From = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Write train, valid and test as tables of ids, for use elsewhere and, by their folder, here.

    -o sets the split's settings, -o data.KEY those of the reader.
    """
    from tastemaker.config import parse_overrides
    from tastemaker.data import load_dataset, save_split

    given = parse_overrides(settings or ())
    of_reader = group(given, "data")
    with reporting() as progress:
        made = load_dataset(name, from_, progress, **of_reader).split(split_name, **given)
        save_split(made, out)
    if as_json:
        show_json({"path": str(out), "hash": made.hash, **made.counts()})
    else:
        show_table(("", made.name), made.counts().items())
        say(f"wrote {out}")


@data.command(epilog=example("tastemaker data export ml-100k --out exported"))
def export(name: NameOrPath, out: Out, from_: From = None, as_json: Json = False) -> None:
    """Write a dataset as RecBole's atomic files (.inter, .item, .user)."""
    from tastemaker.data import load_dataset
    from tastemaker.data.readers.recbole import export as as_recbole

    with reporting() as progress:
        dataset = load_dataset(name, from_, progress)
        folder = as_recbole(dataset, out)
    _kept(dataset.name, dataset, folder, as_json)


def _where(row: dict[str, Any]) -> str:
    return "here" if row["here"] else "can be fetched" if row["fetchable"] else "yours"


def _kept(name: str, dataset: Any, path: Path, as_json: bool) -> None:
    told = {"users": dataset.n_users, "items": dataset.n_items, "interactions": dataset.n_interactions}
    if as_json:
        show_json({"name": name, "path": str(path), **told, "hash": dataset.hash, "notes": list(dataset.notes)})
        return
    show_table(("", name), told.items())
    for note in dataset.notes:
        say(note)
    say(f"wrote {path}")


def _facts(told: dict[str, Any]) -> list[tuple[str, str]]:
    """Each fact in a line; what is a list gets a line for each of its parts."""
    rows: list[tuple[str, str]] = []
    for key, value in told.items():
        name = key.replace("_", " ")
        if isinstance(value, dict):
            rows.append((name, "   ".join(f"{k}: {_shown(v)}" for k, v in value.items()) or "-"))
        elif isinstance(value, list | tuple):
            rows += [(name if not i else "", str(one)) for i, one in enumerate(value)]
        else:
            rows.append((name, _shown(value)))
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else "-" if value is None else str(value)
