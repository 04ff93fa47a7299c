"""Chat-REC's claims -> results/chatrec-*.json.

python -m benchmarks.chatrec [chatrec-ml100k chatrec-ratings ...] [--only ROW ...] [--write]
TASTEMAKER_DATA=DIR python -m benchmarks.chatrec chatrec-ml1m
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from benchmarks import kept
from tastemaker import evaluate

CLAIMS = {
    "chatrec-ml100k": "chatrec_lists",
    "chatrec-ml100k-fresh": "chatrec_lists",
    "chatrec-ratings": "chatrec_ratings",
    "chatrec-instructions": "chatrec_talk",
    "chatrec-reasons": "chatrec_reasons",
    "chatrec-new-items": "chatrec_items",
    "chatrec-ml1m": "chatrec_lists",
}
"""The module that measures each."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for, then write the files and the pages made from them."""
    asked = kept.parser("chatrec", __doc__ or "", CLAIMS).parse_args(arguments, kept.Asked())
    for name in asked.claims:
        module = import_module(f"benchmarks.{CLAIMS[name]}")
        print(*module.measure(name, asked))
    evaluate.write_pages(".")


if __name__ == "__main__":
    main()
