"""Language models: ``llm.load("smollm2-135m")`` runs one here, ``llm.FakeLM`` follows a script."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tastemaker.llm.base import LanguageModel
    from tastemaker.llm.fake import FakeLM
    from tastemaker.llm.local import LocalLM
    from tastemaker.llm.remote import RemoteLM
    from tastemaker.llm.sentences import SentenceEncoder

__all__ = ["FakeLM", "LanguageModel", "LocalLM", "RemoteLM", "SentenceEncoder", "load"]

_HOMES = {
    "FakeLM": "fake",
    "LanguageModel": "base",
    "LocalLM": "local",
    "RemoteLM": "remote",
    "SentenceEncoder": "sentences",
}


def load(name: str, **options: Any) -> LocalLM:
    """`LocalLM.load`: a model by name (``smollm2-135m``), by path, or as ``owner/name`` on the Hugging Face hub."""
    from tastemaker.llm.local import LocalLM

    return LocalLM.load(name, **options)


def __getattr__(name: str) -> Any:
    """The class of that name, imported now: torch and transformers load when a model is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"tastemaker.llm has no {name!r}")
    return getattr(import_module(f"tastemaker.llm.{_HOMES[name]}"), name)
