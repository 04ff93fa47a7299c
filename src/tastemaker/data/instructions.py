"""A JSON file of instructions in Alpaca's format -> what is asked, on what, and the answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tastemaker.errors import DataError

KEYS = ("instruction", "input", "output")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One example of instruction tuning; ``input`` is empty where the instruction says it all."""

    instruction: str
    input: str
    output: str


def read_instructions(path: Path) -> list[Instruction]:
    """The examples of a JSON list of objects. Raises `DataError`; what it counts as a line is the example's number.

    ``instruction`` and ``output`` must be there; further keys are passed over.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise DataError(f"cannot be read: {e.strerror}", path) from None
    except (ValueError, RecursionError) as e:
        raise DataError(f"is not JSON ({str(e)[:80]})", path) from None
    if not isinstance(found, list) or not found:
        raise DataError("is not a list of instructions", path)
    return [_instruction(path, at, one) for at, one in enumerate(found, start=1)]


def _instruction(path: Path, at: int, found: object) -> Instruction:
    texts = [found.get(key, "") for key in KEYS] if isinstance(found, dict) else []
    if not texts or not all(isinstance(text, str) for text in texts) or not texts[0].strip() or not texts[2].strip():
        raise DataError("is not an object with the texts instruction, output and perhaps input", path, at)
    if any("\ud800" <= c <= "\udfff" for text in texts for c in text):
        raise DataError("holds half a character", path, at)
    return Instruction(*texts)
