"""Numbers that no evaluation frame made -> a file under results/ of the same schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.kept import Asked
from tastemaker import artifacts
from tastemaker.data import Dataset
from tastemaker.evaluate.machine import machine
from tastemaker.evaluate.result import Result


def write(name: str, protocol: str, data: Dataset, *, claim: str, asked: Asked, **told: Any) -> Path:
    """``results/NAME.json``; ``told`` are further fields of `Result`, ``n``, ``rows`` and ``seconds`` among them."""
    facts = {"commit": asked.commit, "machine": machine(), "command": asked.command(claim)}
    result = Result(name=name, protocol=protocol, data_hash=data.hash, **facts, **told)
    to = Path("results") / f"{name}.json"
    text = json.dumps(result.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False)
    artifacts.write_atomic(to, (text + "\n").encode())
    return to
