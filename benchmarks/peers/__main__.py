"""``python -m benchmarks.peers NAME`` -> one line of JSON: versions, seconds and figures, or the error as text."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from benchmarks import peers, prompts
from tastemaker.data import load_dataset
from tastemaker.data.sources import fetch
from tastemaker.data.splits.leave_one_out import LeaveOneOut
from tastemaker.llm import zoo

MODEL = "smollm2-135m"


def texts(users: int = 16) -> list[str]:
    """The choice prompts of so many users, alone and in pairs, for pieces of some 250 and 500 tokens."""
    single = [one.prompt for one in prompts.choices(prompts.made_up(), users)]
    return [*single, *(f"{a} {b}" for a, b in zip(single[::2], single[1::2], strict=True))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one peer."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("name", choices=peers.NAMES)
    parser.add_argument("--data", default="ml-100k", help="split leave-one-out (5-core); ml-100k, ml-1m ...")
    for name, field in peers.Settings.model_fields.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(field.default), default=field.default)
    asked = vars(parser.parse_args(arguments))
    name, data = asked.pop("name"), asked.pop("data")
    settings = peers.Settings(**asked)
    facts = peers.measured(name, lambda: _measure(name, data, settings))
    print(json.dumps(facts))
    return 0 if facts["error"] is None else 1


def _measure(name: str, data: str, settings: peers.Settings) -> dict[str, object]:
    if name == "llamacpp":
        model = zoo.ZOO[MODEL]
        folder = fetch(model.sources, name=MODEL)
        return peers.processed(name, texts(), folder / model.gguf, threads=settings.threads)
    return peers.ranked(name, LeaveOneOut().apply(load_dataset(data)), settings)


if __name__ == "__main__":
    sys.exit(main())
