"""A saved recommender and the name of a language model -> the conversation that `chat` and `serve` hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tastemaker.cli._progress import reporting

if TYPE_CHECKING:
    from tastemaker.llm.base import LanguageModel
    from tastemaker.recommend import Recommender
    from tastemaker.serve.chat.engine import Engine

Speaker = Annotated[
    str | None, typer.Option("--llm", metavar="NAME", help="A language model that may add a checked sentence.")
]
Url = Annotated[str | None, typer.Option("--url", metavar="URL", help="Where --llm is served, in OpenAI's protocol.")]


def conversation(recommender: Recommender, folder: Path, llm: str | None, url: str | None, **settings: Any) -> Engine:
    """The engine over ``folder``; a served model also says what was meant where no rule knows."""
    from tastemaker.serve.chat.engine import Settings
    from tastemaker.serve.opening import open_conversation

    told = Settings(lm_prose=llm is not None, lm_routes=url is not None, **settings)
    lm = _model(llm, url)
    with reporting() as progress:
        return open_conversation(recommender, folder, progress, lm=lm, settings=told)


def _model(llm: str | None, url: str | None) -> LanguageModel | None:
    from tastemaker import llm as models
    from tastemaker.errors import UsageError

    if url is not None:
        if llm is None:
            raise UsageError("--url needs the model's name there: --llm NAME")
        return models.RemoteLM(url, llm)
    return None if llm is None else models.load(llm)
