"""An Evaluation -> one JSON and one parquet under results/, and back."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from tastemaker.artifacts import write_atomic
from tastemaker.errors import DataError, UsageError
from tastemaker.evaluate import protocols
from tastemaker.evaluate.evaluation import Evaluation
from tastemaker.evaluate.machine import commit as this_commit
from tastemaker.evaluate.machine import machine
from tastemaker.evaluate.preference_evaluation import PreferenceEvaluation
from tastemaker.evaluate.protocols import PreferenceProtocol
from tastemaker.evaluate.ranking_evaluation import RankingEvaluation
from tastemaker.evaluate.result import Result, read_result


def result_of(evaluation: Evaluation, name: str, command: str = "", *, commit: str | None = None) -> Result:
    """The evaluation as it is shown, saved and reported."""
    seeds = dict.fromkeys(run.seed for run in evaluation.runs if run.seed is not None)
    return Result(
        name=name,
        protocol=evaluation.protocol.name,
        command=command,
        commit=this_commit() if commit is None else commit,
        data_hash=evaluation.data_hash,
        candidates_hash=evaluation.candidates_hash,
        n=evaluation.n,
        seeds=tuple(seeds),
        machine=machine(),
        seconds=round(evaluation.seconds, 3),
        rows=evaluation.rows,
        paired=evaluation.paired,
        metrics=evaluation.columns,
        describes=evaluation.protocol.describe(),
        focus=evaluation.focus,
        part=evaluation.part,
        settings=evaluation.protocol.model_dump(),
        runs=evaluation.runs,
        remarks=evaluation.remarks,
    )


def write_result(
    evaluation: Evaluation, path: str | Path, command: str, *, name: str | None = None, commit: str | None = None
) -> Result:
    """``results/NAME.json`` and, beside it, ``NAME.parquet`` with the outcome of every case; each whole or not at all.

    ``command`` is what a reader types to get the same again. Raises `ArtifactError`, or `UsageError` where
    ``NAME.parquet`` is a table of something else.
    """
    path = Path(path)
    require_free(path)
    buffer = io.BytesIO()
    evaluation.outcomes.write_parquet(buffer, compression="zstd", compression_level=9)
    outcomes = buffer.getvalue()
    result = result_of(evaluation, name or path.stem, command, commit=commit)
    result = result.model_copy(update={"outcomes_sha256": hashlib.sha256(outcomes).hexdigest()})
    text = json.dumps(result.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path.with_suffix(".parquet"), outcomes)
    write_atomic(path, (text + "\n").encode())
    return result


def require_free(path: str | Path) -> None:
    """Raise `UsageError` unless a result can be kept at ``path`` without replacing a table that holds no outcomes."""
    path = Path(path)
    if path.suffix != ".json":
        raise UsageError(f"{path}: a result is a .json file")
    beside = path.with_suffix(".parquet")
    if not beside.exists():
        return
    try:
        ours = {"system", "seed", "user", "case"} <= pl.read_parquet_schema(beside).keys()
    except (OSError, pl.exceptions.PolarsError):
        ours = False
    if not ours:
        raise UsageError(f"{beside} would be replaced by the outcomes of {path.name}; give the result another name")


def read_evaluation(path: str | Path) -> Evaluation:
    """What `write_result` wrote, ready to be combined with others. Raises `DataError` if anything does not match."""
    path = Path(path)
    result = read_result(path)
    beside = path.with_suffix(".parquet")
    try:
        outcomes = beside.read_bytes()
    except OSError as error:
        raise DataError(f"the outcomes of {path.name} cannot be read ({error.strerror})", beside) from error
    if hashlib.sha256(outcomes).hexdigest() != result.outcomes_sha256:
        raise DataError(f"is not the file {path.name} was written with; evaluate again", beside)
    try:
        protocol = protocols.registry.get(result.protocol).model_validate(result.settings)
    except ValidationError as error:
        raise DataError(f"has settings its protocol does not have ({error.errors()[0]['msg']})", path) from error
    kind: type[Evaluation] = PreferenceEvaluation if isinstance(protocol, PreferenceProtocol) else RankingEvaluation
    return kind(
        protocol=protocol,
        data_hash=result.data_hash,
        candidates_hash=result.candidates_hash,
        part=result.part,
        outcomes=pl.read_parquet(io.BytesIO(outcomes)).select(*kind.SCHEMA),
        runs=result.runs,
        focus=result.focus,
        seconds=result.seconds,
        remarks=result.remarks,
    )
