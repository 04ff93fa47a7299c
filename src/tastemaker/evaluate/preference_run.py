"""A split of yes/no questions, systems and a protocol -> an Evaluation: all judged on the same rows."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import polars as pl

from tastemaker.data.leakage import leaks
from tastemaker.data.preference import Judgement, PreferenceSplit, labels
from tastemaker.errors import UsageError
from tastemaker.evaluate.judged import Judged
from tastemaker.evaluate.preference_evaluation import SCHEMA, PreferenceEvaluation
from tastemaker.evaluate.protocols import PreferenceProtocol
from tastemaker.evaluate.result import Run
from tastemaker.evaluate.system import System
from tastemaker.types import FloatArray, Progress

_BATCH = 512  # rows per call


def judge_preferences(
    split: PreferenceSplit,
    systems: Sequence[System],
    protocol: PreferenceProtocol,
    *,
    part: str,
    focus: str,
    progress: Progress,
) -> PreferenceEvaluation:
    """Every system's score for every row. Raises `UsageError` for scores that are no numbers."""
    rows = split.test if part == "test" else split.valid
    if not rows:
        raise UsageError(f"split {split.name!r} has no {part} rows; there is nothing to evaluate")
    started = time.perf_counter()
    facts = _facts(split, rows)
    judged = [_judge(system, rows, facts, progress) for system in systems]
    return PreferenceEvaluation(
        protocol=protocol,
        data_hash=split.hash,
        candidates_hash=None,
        part=part,
        outcomes=pl.concat([frame for frame, _ in judged]),
        runs=tuple(run for _, run in judged),
        focus=focus,
        seconds=time.perf_counter() - started,
        remarks=(_dropped(facts), *(str(leak) for leak in leaks(split))),
    )


def _facts(split: PreferenceSplit, rows: Sequence[Judgement]) -> pl.DataFrame:
    """What is true of the rows whoever scores them."""
    users = [row.query.user for row in rows]
    items = np.array([row.item for row in rows])
    columns = {
        "user": [-1 - case if user is None else user for case, user in enumerate(users)],
        "case": np.arange(len(rows)),
        "item": items,
        "liked": labels(rows),
        "user_count": [0 if user is None else split.user_counts[user] for user in users],
        "item_count": split.item_counts[items],
    }
    return pl.DataFrame(columns, schema_overrides={name: SCHEMA[name] for name in columns})


def _judge(
    system: System, rows: Sequence[Judgement], facts: pl.DataFrame, progress: Progress
) -> tuple[pl.DataFrame, Run]:
    scores: list[FloatArray] = []
    seconds = 0.0
    for start in range(0, len(rows), _BATCH):
        queries = [row.query for row in rows[start : start + _BATCH]]
        asked = time.perf_counter()
        found = system.score(queries)
        seconds += time.perf_counter() - asked
        if [np.shape(row) for row in found] != [(1,)] * len(queries):
            raise UsageError(f"system {system.name!r} did not give one score for the one candidate of each query")
        scores += found
        progress(f"evaluate {system.name}", start + len(queries), len(rows))
    flat = np.concatenate(scores).astype(np.float32)
    if not np.isfinite(flat).all():
        raise UsageError(f"system {system.name!r} gave NaN or infinite scores; a question of yes or no needs a number")
    about = (pl.lit(system.name).alias("system"), pl.lit(system.seed, dtype=pl.Int32).alias("seed"))
    frame = facts.with_columns(*about, pl.Series("score", flat)).select(*SCHEMA)
    return frame, Run(
        system=system.name,
        kind=system.kind,
        seed=system.seed,
        draws=1,
        seconds=seconds,
        recommendations=len(rows),
        probabilities=system.probabilities,
        notes=system.notes,
    )


def _dropped(facts: pl.DataFrame) -> str:
    if facts["liked"].n_unique() == 1:
        return (
            f"all {facts.height:,} rows are {'liked' if facts['liked'][0] else 'disliked'}: their order says nothing."
        )
    users = facts["user"].rank("dense").to_numpy().astype(np.int64) - 1
    judged = Judged(users, np.zeros(len(users)), facts["liked"].to_numpy(), int(users.max()) + 1)
    usable = int(judged.usable.sum())
    return (
        f"uauc and undcg are means over {usable:,} of {judged.n_users:,} users; the rows of "
        f"{judged.n_users - usable:,} are all liked or all disliked."
    )
