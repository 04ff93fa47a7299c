"""Every exception tastemaker raises on purpose, so that callers can catch exactly what they can handle.

    TastemakerError                 exit 1   something failed while it ran
    ├── UsageError                  exit 2   what was asked for cannot be done
    │   ├── ConfigError             exit 2   a setting is unknown or out of range
    │   ├── UnknownNameError        exit 2   no dataset, model, method, split ... of that name
    │   └── DataError               exit 2   a file or table is not what it should be; names file and line
    ├── SourceError                 exit 1   a download failed or did not match its hash
    ├── ArtifactError               exit 2   a saved directory is damaged, foreign or from another version
    ├── NotFittedError              exit 1   a model was used before it was fitted
    ├── PromptError                 exit 1   a prompt cannot be built, or its slots do not match its vectors
    ├── LanguageModelError          exit 1   a language model cannot be loaded or did not answer
    ├── TrainingError               exit 1   a loss or gradient was not a number, or another process failed
    └── Interrupted                 exit 130 a signal stopped the work after it had saved

A message says what was wrong, where, and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TastemakerError(Exception):
    """The root of the tree; catch it to catch everything tastemaker raises on purpose."""

    exit_code = 1


class UsageError(TastemakerError):
    """What was asked for cannot be done; asking differently can."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is unknown, of the wrong type or out of range."""


class UnknownNameError(UsageError):
    """No dataset, model, method or split has that name; the message offers the nearest one."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        super().__init__(f"no {kind} named {name!r}; {suggest(name, self.known)}")


class DataError(UsageError):
    """A file or table is not what it should be.

    Parameters: ``message`` (what is wrong and what to do), ``path`` and ``line`` (1-based) if known.
    """

    def __init__(self, message: str, path: object | None = None, line: int | None = None) -> None:
        self.path, self.line = path, line
        where = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(where + message)


class SourceError(TastemakerError):
    """A download failed, timed out or did not match its pinned hash; nothing was kept."""


class ArtifactError(TastemakerError):
    """A saved directory is damaged, incomplete, foreign or written by an unknown version."""

    exit_code = 2


class NotFittedError(TastemakerError):
    """A model was asked for scores or vectors before it was fitted."""


class PromptError(TastemakerError):
    """A prompt cannot be built: no room for the answer, or slots and vectors do not match."""


class LanguageModelError(TastemakerError):
    """A language model cannot be loaded, lacks what a method needs, or did not answer."""


class TrainingError(TastemakerError):
    """Training stopped: a loss, gradient or vector was not a finite number, or another process failed."""


class Interrupted(TastemakerError):
    """A signal asked the work to stop; what was done is saved."""

    exit_code = 130


def suggest(name: str, known: Iterable[str]) -> str:
    """``did you mean 'sasrec'?`` when a known name is near, else the list of known names."""
    known = list(known)
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(known)
