"""Which retriever is best on validation -> results/NAME-retrievers.json, by which PALR's claims choose theirs.

    TASTEMAKER_DATA=DIR python -m benchmarks.palr_retrievers palr-beauty

The test is not touched. Fitted models are kept under runs/claims/models and serve the claims too.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import kept
from benchmarks.kept import key
from benchmarks.palr_rows import CLAIMS, Claim, Retriever
from tastemaker import collab, evaluate
from tastemaker.collab.base import CollaborativeModel
from tastemaker.collab.ensemble import Ensemble
from tastemaker.data import Split
from tastemaker.evaluate import System
from tastemaker.evaluate.machine import commit
from tastemaker.evaluate.protocols.palr import Palr

CHOICES = {name: claim for name, claim in CLAIMS.items() if claim.chosen == name}
"""The claims whose validation chooses."""


def result(name: str) -> Path:
    """Where the choice of that claim is written."""
    return Path("results") / f"{name}-retrievers.json"


def chosen(claim: Claim) -> Retriever:
    """The claim's best retriever on validation; its only one where there is no choice."""
    if not claim.chosen:
        (only,) = claim.retrievers
        return only
    if not result(claim.chosen).is_file():
        raise SystemExit(f"choose the retriever first: python -m benchmarks.palr_retrievers {claim.chosen}")
    best = evaluate.read_result(result(claim.chosen)).focus
    return next(one for one in claim.retrievers if one.name == best)


def retriever(asked: Retriever, split: Split) -> CollaborativeModel:
    """The retriever, fitted; of several members, the mean of their standardised scores."""
    members = [fitted(name, asked.settings.get(name, {}), split) for name in asked.members]
    return members[0] if len(members) == 1 else Ensemble.of(members)


def fitted(name: str, settings: Mapping[str, Any], split: Split) -> CollaborativeModel:
    """The model of that name, fitted on the split or as it was kept."""
    path = kept.RUNS / "models" / f"{name}-{key([dict(settings), split.hash])}"
    if not path.is_dir():
        collab.save_model(path, collab.models.get(name)(**settings).fit(split, progress=kept.progress))
    return collab.load_model(path)


def choose(claim: Claim, to: Path, command: str, at: str) -> str:
    """The name of the claim's best retriever by NDCG@10 of all validation users, written with all others."""
    split = claim.split()
    systems = [System.of_model(one.name, retriever(one, split), "collaborative") for one in claim.retrievers]
    judged = evaluate.evaluate(split, systems, Palr(), part="valid")
    best = max(judged.rows, key=lambda row: row.metrics["ndcg@10"]).system
    evaluate.write_result(dataclasses.replace(judged, focus=best), to, command, commit=at)
    return best


def main(arguments: Sequence[str] | None = None) -> None:
    """Choose for the claims asked for, then write the pages."""
    line = argparse.ArgumentParser("python -m benchmarks.palr_retrievers", description=__doc__)
    line.add_argument("claims", nargs="*", default=sorted(CHOICES), choices=sorted(CHOICES))
    for name in line.parse_args(arguments).claims:
        command = f"python -m benchmarks.palr_retrievers {name}"
        print(name, choose(CHOICES[name], result(name), command, commit()), sep=": ")
    evaluate.write_pages(".")


if __name__ == "__main__":
    main()
